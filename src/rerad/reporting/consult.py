"""What a report says beyond the plan: who asked, what was weighed, what became of the patient."""

import datetime
from dataclasses import dataclass

from rerad.core.clinical_history import ClinicalHistory
from rerad.structures import EndSlab

BLANK = "_" * 22
"""A line to write on by hand: nobody has said it yet."""


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
    statements : tuple of (str, str)
        Label and what people state of it; an empty text leaves a line to write on by hand.
    history_source : str
        Where the records were read, in a sentence; empty if in the case file itself.
    earlier_isodose_gy, current_isodose_gy : float or None
        What counts as irradiated for the type of re-irradiation; None if nobody has said.
    is_toxicity_a_concern, is_same_organ : bool or None
        Judgements that the type needs where doses do not overlap; None if nobody has said.
    """

    made: datetime.date
    history: ClinicalHistory
    course_key: str
    end_slab: EndSlab
    statements: tuple[tuple[str, str], ...] = ()
    history_source: str = ""
    earlier_isodose_gy: float | None = None
    current_isodose_gy: float | None = None
    is_toxicity_a_concern: bool | None = None
    is_same_organ: bool | None = None
