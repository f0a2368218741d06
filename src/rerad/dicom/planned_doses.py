"""RTDOSE to compare with: physical dose of a plan, of some of its beams, or of one fraction.

A dose that enters a calculation is the total of one plan (`read_dose`). To check a plan, a dose of
single beams or of one session serves as well, as long as it says which it is. DICOM PS3.3
C.8.8.3: PLAN, FRACTION and BEAM are doses of the entire delivery (all fractions of the plan, of
the fraction group, of the beams named); FRACTION_SESSION and BEAM_SESSION are doses of one
fraction.
"""

from dataclasses import dataclass
from pathlib import Path

from pydicom.dataset import Dataset

from rerad.core import Dose
from rerad.dicom.doses import voxels_of, why_not_physical_total
from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.headers import items_of, number_of, text_of
from rerad.errors import DicomError

OF_BEAMS = frozenset({"BEAM", "BEAM_SESSION"})
"""Summation types that are about single beams, which the file has to name."""

OF_ONE_FRACTION = frozenset({"FRACTION_SESSION", "BEAM_SESSION"})
"""Summation types that are about one fraction."""

COMPARABLE = frozenset({"PLAN", "FRACTION"}) | OF_BEAMS | OF_ONE_FRACTION
"""Summation types that a recalculation can be compared with."""


@dataclass(frozen=True, eq=False, slots=True)
class PlannedDose:
    """A dose as a planning system exported it.

    Parameters
    ----------
    dose : Dose
        Physical dose.
    summation : str
        DoseSummationType.
    plan_uids : tuple of str
        Plans that it refers to.
    beam_numbers : tuple of int
        Beams that it is of; empty for all.
    maker : str
        Manufacturer and model of the system, as written.
    """

    dose: Dose
    summation: str
    plan_uids: tuple[str, ...]
    beam_numbers: tuple[int, ...]
    maker: str

    @property
    def is_of_one_fraction(self) -> bool:
        """Whether the file says that it is the dose of one fraction."""
        return self.summation in OF_ONE_FRACTION


@guard_parser
def read_planned_dose(path: Path) -> PlannedDose:
    """Read a physical dose of one plan, with what it is a dose of.

    Parameters
    ----------
    path : Path
        RTDOSE with DoseUnits GY, DoseType PHYSICAL and a DoseSummationType of `COMPARABLE`.

    Returns
    -------
    PlannedDose

    Raises
    ------
    DicomError
        If the dose is of another kind, does not name its beams, or its geometry cannot be used.
    """
    path = Path(path)
    dataset = read_dataset(path)
    summation = text_of(dataset, "DoseSummationType")
    problem = why_not_physical_total(dataset)
    if problem and not (summation in COMPARABLE and "DoseSummationType" in problem):
        msg = f"{path.name}: {problem}"
        raise DicomError(msg)
    numbers = _beam_numbers(dataset)
    if summation in OF_BEAMS and not numbers:
        msg = f"{path.name}: expected a dose of single beams to name them, found none"
        raise DicomError(msg + "; export it again, or the dose of the whole plan")
    values, grid = voxels_of(dataset, path.name)
    label = text_of(dataset, "SeriesDescription") or text_of(dataset, "DoseComment")
    maker = (text_of(dataset, "Manufacturer"), text_of(dataset, "ManufacturerModelName"))
    plans = items_of(dataset, "ReferencedRTPlanSequence")
    return PlannedDose(
        dose=Dose(
            values=values, grid=grid, label=label, instance_uid=text_of(dataset, "SOPInstanceUID")
        ),
        summation=summation,
        plan_uids=tuple(text_of(plan, "ReferencedSOPInstanceUID") for plan in plans),
        beam_numbers=numbers if summation in OF_BEAMS else (),
        maker=" ".join(dict.fromkeys(part for part in maker if part)),
    )


def _beam_numbers(dataset: Dataset) -> tuple[int, ...]:
    """Return the beams that a dose refers to."""
    found = []
    for plan in items_of(dataset, "ReferencedRTPlanSequence"):
        for group in items_of(plan, "ReferencedFractionGroupSequence"):
            for beam in items_of(group, "ReferencedBeamSequence"):
                number = number_of(beam, "ReferencedBeamNumber")
                if number is not None:
                    found.append(int(number))
    return tuple(sorted(set(found)))
