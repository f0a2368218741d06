"""RTPLAN in: what it says of each beam besides the apertures.

Leaf sides, distances and stated doses are what a recalculation is checked against: they belong to
the machine of the plan, not to the plan as the core types hold it.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from rerad.core.arrays import frozen_array
from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.headers import items_of, number_of, numbers_of, text_of

TILTS = {"TableTopPitchAngle": "pitch", "TableTopRollAngle": "roll"}
"""Table angles that the geometry of a beam does not know."""

LEVEL_DEG = 0.01
"""A table tilted by less than this is level: decimal strings are rounded."""


@dataclass(frozen=True, eq=False, slots=True)
class PlanBeam:
    """One treatment beam as its RTPLAN describes machine and stated dose.

    Parameters
    ----------
    number : int
        DICOM beam number.
    name : str
        Beam name.
    machine_name, manufacturer, model : str
        As written; empty if absent.
    sad_mm : float or None
        Source to axis distance; None if absent.
    leaf_boundaries_mm : ndarray of shape (N + 1,)
        Sides of the leaves at the isocentre plane; empty without a multileaf collimator.
    has_jaw_x, has_jaw_y : bool
        Whether the plan has jaws along x and along y.
    stated_dose_gy : float or None
        Beam Dose of one fraction; None if absent.
    stated_at_mm : tuple of float or None
        ``(x, y, z)`` of the point that Beam Dose belongs to; None if absent.
    tilt : str
        ``pitch`` or ``roll`` if the table top is tilted; empty if it is level.
    """

    number: int
    name: str
    machine_name: str
    manufacturer: str
    model: str
    sad_mm: float | None
    leaf_boundaries_mm: NDArray[np.float64]
    has_jaw_x: bool
    has_jaw_y: bool
    stated_dose_gy: float | None
    stated_at_mm: tuple[float, float, float] | None
    tilt: str

    def __post_init__(self) -> None:
        edges = frozen_array(self.leaf_boundaries_mm, np.float64)
        object.__setattr__(self, "leaf_boundaries_mm", edges)


@guard_parser
def read_plan_beams(path: Path) -> tuple[PlanBeam, ...]:
    """Read what an RTPLAN says of its treatment beams besides their apertures.

    Parameters
    ----------
    path : Path
        RTPLAN file that `read_plan` reads.

    Returns
    -------
    tuple of PlanBeam
        In the order of the file, setup beams left out: the beams of `read_plan`.

    Raises
    ------
    DicomError
        If the file cannot be read.
    """
    dataset = read_dataset(Path(path))
    groups = items_of(dataset, "FractionGroupSequence")
    stated = {
        number_of(entry, "ReferencedBeamNumber"): entry
        for group in groups[:1]
        for entry in items_of(group, "ReferencedBeamSequence")
    }
    return tuple(
        _plan_beam(item, stated.get(number_of(item, "BeamNumber"), Dataset()))
        for item in items_of(dataset, "BeamSequence")
        if text_of(item, "TreatmentDeliveryType") in {"TREATMENT", "CONTINUATION", ""}
    )


def _plan_beam(item: Dataset, stated: Dataset) -> PlanBeam:
    """Gather one beam; `stated` is its entry in the fraction group."""
    edges: list[float] = []
    kinds = set()
    for device in items_of(item, "BeamLimitingDeviceSequence"):
        kind = text_of(device, "RTBeamLimitingDeviceType")
        kinds.add(kind.removeprefix("ASYM"))
        if kind == "MLCX":
            edges = numbers_of(device, "LeafPositionBoundaries")
    at = numbers_of(stated, "BeamDoseSpecificationPoint")
    points = items_of(item, "ControlPointSequence")
    tilted = [
        what
        for keyword, what in TILTS.items()
        if any(abs(number_of(point, keyword) or 0.0) > LEVEL_DEG for point in points)
    ]
    return PlanBeam(
        number=int(number_of(item, "BeamNumber") or 0),
        name=text_of(item, "BeamName") or f"beam {text_of(item, 'BeamNumber')}",
        machine_name=text_of(item, "TreatmentMachineName"),
        manufacturer=text_of(item, "Manufacturer"),
        model=text_of(item, "ManufacturerModelName"),
        sad_mm=number_of(item, "SourceAxisDistance"),
        leaf_boundaries_mm=np.asarray(edges, dtype=np.float64),
        has_jaw_x="X" in kinds,
        has_jaw_y="Y" in kinds,
        stated_dose_gy=number_of(stated, "BeamDose"),
        stated_at_mm=(at[0], at[1], at[2]) if len(at) == 3 else None,
        tilt=", ".join(tilted),
    )
