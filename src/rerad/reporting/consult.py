"""What a report says beyond the plan: who asked, what was weighed, what became of the patient."""

import datetime
from dataclasses import dataclass, fields

from rerad.core.clinical_history import ClinicalHistory
from rerad.structures import EndSlab

BLANK = "_" * 22
"""A line to write on by hand: nobody has said it yet."""


@dataclass(frozen=True, slots=True)
class ConsultStatements:
    """What people state for the consult; empty leaves a line to write on by hand.

    Parameters
    ----------
    requested_by, physicist : str
        Who asks, and who answers.
    reason : str
        Why the consult is asked for.
    performance_status, life_expectancy, quality_of_life : str
        Of the patient before the course.
    response_to_earlier_courses, toxicity_of_earlier_courses : str
        What became of the earlier irradiation.
    multidisciplinary_decision, shared_decision : str
        Who decided, and what the patient was told and chose.
    registration_checked_by : str
        Who looked at the registration.
    follow_up : str
        How toxicity and outcome will be followed.
    """

    requested_by: str = ""
    physicist: str = ""
    reason: str = ""
    performance_status: str = ""
    life_expectancy: str = ""
    quality_of_life: str = ""
    response_to_earlier_courses: str = ""
    toxicity_of_earlier_courses: str = ""
    multidisciplinary_decision: str = ""
    shared_decision: str = ""
    registration_checked_by: str = ""
    follow_up: str = ""

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Return every statement with its label, blank where nobody has said it."""
        return tuple(
            (item.name.replace("_", " ").capitalize(), getattr(self, item.name).strip() or BLANK)
            for item in fields(self)
        )


@dataclass(frozen=True, slots=True)
class Consult:
    """Everything that the consult part of a report needs besides the result of the run.

    Parameters
    ----------
    made : date
        When the report was made.
    history : ClinicalHistory
        Every record of the patient, today's course included.
    course_key : str
        Key of today's course.
    end_slab : EndSlab
        How far contours reach beyond their ends, as the goals of the run were judged.
    statements : ConsultStatements
        What people state.
    earlier_isodose_gy, current_isodose_gy : float or None
        What counts as irradiated for the type of re-irradiation; None if nobody has said.
    is_toxicity_a_concern, is_same_organ : bool or None
        Judgements that the type needs where doses do not overlap; None if nobody has said.
    """

    made: datetime.date
    history: ClinicalHistory
    course_key: str
    end_slab: EndSlab
    statements: ConsultStatements = ConsultStatements()
    earlier_isodose_gy: float | None = None
    current_isodose_gy: float | None = None
    is_toxicity_a_concern: bool | None = None
    is_same_organ: bool | None = None
