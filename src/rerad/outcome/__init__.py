"""What became of the patient: pain response, strength, survival, and the type of re-irradiation.

Pure functions on records and doses. Where something is unknown the answer says so and why; a
class is never guessed.
"""

from rerad.outcome.consistency import history_findings
from rerad.outcome.motor import MotorChange, MotorDirection, motor_change
from rerad.outcome.opioids import (
    OpioidTable,
    opioid_table,
    opioid_tables,
    oral_morphine_mg_day,
)
from rerad.outcome.overlap import (
    DoseOverlap,
    ReirradiationType,
    dose_overlap,
    reirradiation_type,
)
from rerad.outcome.pain import PainCategory, PainResponse, PainState, pain_response
from rerad.outcome.summary import CourseOutcome, course_outcome
from rerad.outcome.survival import SurvivalTime, survival_times

__all__ = [
    "CourseOutcome",
    "DoseOverlap",
    "MotorChange",
    "MotorDirection",
    "OpioidTable",
    "PainCategory",
    "PainResponse",
    "PainState",
    "ReirradiationType",
    "SurvivalTime",
    "course_outcome",
    "dose_overlap",
    "history_findings",
    "motor_change",
    "opioid_table",
    "opioid_tables",
    "oral_morphine_mg_day",
    "pain_response",
    "reirradiation_type",
    "survival_times",
]
