"""What a check of an existing plan found, as one object for report, record and terminal."""

from dataclasses import dataclass

from rerad.core import Finding, Image, Patient, Plan, Provenance, StructureSet
from rerad.evaluation import GammaMap
from rerad.planning.dose_comparison import DoseComparison, StructureComparison
from rerad.planning.recalculation import Recalculation


@dataclass(frozen=True, eq=False, slots=True)
class DoseCheck:
    """A recalculated plan beside what its planning system said.

    Parameters
    ----------
    plan : Plan
        As calculated.
    patient : Patient
        As in the CT.
    image : Image
        The CT.
    structures : StructureSet
        Drawn on it.
    recalculation : Recalculation
        Dose and beams.
    comparison : DoseComparison or None
        With the planned dose; None if there is none.
    compared : tuple of StructureComparison
        DVH of every structure.
    engine : str
        What calculated the dose.
    accuracy : str
        How far that is to be believed, in one or two sentences.
    planned_text : str
        What the planned dose is of, and who made it; empty if there is none.
    pass_percent : float
        Pass rate under the first criterion that was asked for.
    findings : tuple of Finding
        The most serious first.
    provenance : Provenance
        Versions, settings, inputs and steps.
    """

    plan: Plan
    patient: Patient
    image: Image
    structures: StructureSet
    recalculation: Recalculation
    comparison: DoseComparison | None
    compared: tuple[StructureComparison, ...]
    engine: str
    accuracy: str
    planned_text: str
    pass_percent: float
    findings: tuple[Finding, ...]
    provenance: Provenance

    @property
    def is_passed(self) -> bool | None:
        """Whether enough points passed; None if there was nothing to compare with."""
        if self.comparison is None:
            return None
        return self.comparison.pass_percent >= self.pass_percent


def criterion_text(gamma: GammaMap) -> str:
    """Return a criterion as it is written: ``3%/2mm global, above 10 %``."""
    c = gamma.criterion
    scope = "local" if c.is_local else "global"
    return (
        f"{c.dose_percent:g}%/{c.distance_mm:g}mm {scope}, from {c.lower_cutoff_percent:g} % "
        f"of {gamma.normalization_gy:.3f} Gy"
    )
