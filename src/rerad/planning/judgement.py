"""What a plan is judged on, and the parts of an organ that a target lies in.

Where a target lies inside an organ, three volumes are told apart: the part shared with the targets
(``SacralPlex_R&PTV``), the rest (``SacralPlex_R-PTV``), and the organ of the other side
(``SacralPlex_L``).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Dose, Goal, Grid, Mask, RecordGrade, Structure, StructureKind
from rerad.evaluation import Dvh, PlanShape, dvh
from rerad.planning.budget import OrganLimit
from rerad.planning.history import sum_grade
from rerad.planning.inputs import PlanningInputs
from rerad.planning.result import PriorCourse

OUTSIDE_SUFFIX = "-PTV"
"""TG-263 writes a structure less another with a hyphen; here: less all targets of the plan."""

SHARED_SUFFIX = "&PTV"
"""What a structure shares with the targets of the plan; TG-263 has no sign for it."""

_OTHER = {"_L": "_R", "_R": "_L"}


def inside_targets(targets: Iterable[Mask], grid: Grid) -> NDArray[np.bool_]:
    """Return which voxels of the dose grid count as target: those at least half inside one."""
    inside = np.zeros(grid.shape, dtype=bool)
    for target in targets:
        inside[grid.region_of(target.grid)] |= target.fraction >= 0.5
    return inside


def part_outside(organ: Mask, inside: NDArray[np.bool_], grid: Grid) -> Mask:
    """Return the part of an organ in voxels of the dose grid that are not `inside` targets."""
    is_target = inside[grid.region_of(organ.grid)]
    outside = np.where(is_target, np.float32(0), organ.fraction)
    return replace(organ, name=f"{organ.name}{OUTSIDE_SUFFIX}", fraction=outside)


def organ_of_part(name: str) -> str:
    """Return the organ that a part's name belongs to; the name itself if it is no part's."""
    return name.removesuffix(OUTSIDE_SUFFIX).removesuffix(SHARED_SUFFIX)


def other_side(name: str) -> str | None:
    """Return the name of the same organ on the other side, by its TG-263 suffix ``_L`` or ``_R``.

    Examples
    --------
    >>> other_side("SacralPlex_R"), other_side("Bladder")
    ('SacralPlex_L', None)
    """
    suffix = _OTHER.get(name[-2:])
    return None if suffix is None else f"{name[:-2]}{suffix}"


@dataclass(frozen=True, eq=False, slots=True)
class Judgement:
    """What a plan is judged on.

    Parameters
    ----------
    inputs : PlanningInputs
        Structures, goals, settings.
    priors : tuple of PriorCourse
        Earlier EQD2 on the dose grid.
    limits : tuple of OrganLimit
        Cumulative limits planned under.
    masks : mapping of str to Mask
        Structures on crops of the dose grid.
    dose_grid : Grid
        The dose grid.
    """

    inputs: PlanningInputs
    priors: tuple[PriorCourse, ...]
    limits: tuple[OrganLimit, ...]
    masks: Mapping[str, Mask]
    dose_grid: Grid

    @property
    def prescribed_gy(self) -> dict[str, float]:
        """Prescription of each target."""
        return {item.structure: item.dose_gy for item in self.inputs.current.prescriptions}

    @property
    def accepted(self) -> dict[str, str]:
        """Organs whose limit may be exceeded, with the reason."""
        return dict(self.inputs.settings.accepted_breaches)

    @property
    def grade(self) -> RecordGrade | None:
        """Poorest record in a cumulative sum; None if nothing was given before."""
        return sum_grade(self.inputs, self.priors)

    def prescription_of(self, name: str) -> float | None:
        """Return what 100 % is for a structure, in Gy.

        A target's own prescription; for what is no target, the highest of the plan; None for a
        target without a prescription.
        """
        prescribed = self.prescribed_gy
        if name in prescribed:
            return prescribed[name]
        if name in self.masks and self.masks[name].kind.is_target:
            return None
        return max(prescribed.values(), default=None)

    def region(self, name: str) -> Structure | Mask:
        """Return a structure as drawn, or a part of an organ."""
        if name not in self.inputs.structures:
            if name.endswith(OUTSIDE_SUFFIX):
                return self.outside_targets(organ_of_part(name))
            if name.endswith(SHARED_SUFFIX):
                return self.shared_with_targets(organ_of_part(name))
        return self.inputs.structures[name]

    def outside_targets(self, organ: str) -> Mask:
        """Return the part of an organ outside every prescribed target.

        A dose voxel that lies at least half inside a target counts as target, here as in the
        optimiser: a rim thinner than a voxel is neither controlled nor judged on its own.
        """
        return part_outside(self.masks[organ], self._inside_targets(), self.dose_grid)

    def shared_with_targets(self, organ: str) -> Mask:
        """Return the part of an organ inside prescribed targets: what `outside_targets` leaves."""
        mask = self.masks[organ]
        inside = self._inside_targets()[self.dose_grid.region_of(mask.grid)]
        shared = np.where(inside, mask.fraction, np.float32(0))
        return replace(mask, name=f"{organ}{SHARED_SUFFIX}", fraction=shared)

    def _inside_targets(self) -> NDArray[np.bool_]:
        """Return which voxels of the dose grid count as target."""
        return inside_targets([self.masks[name] for name in self.prescribed_gy], self.dose_grid)

    def _all_targets(self) -> Mask:
        """Return the union of the prescribed targets."""
        fraction = np.zeros(self.dose_grid.shape, dtype=np.float32)
        for name in self.prescribed_gy:
            target = self.masks[name]
            part = fraction[self.dose_grid.region_of(target.grid)]
            np.maximum(part, target.fraction, out=part)
        return Mask("all targets", StructureKind.PTV, fraction, self.dose_grid)

    def histogram(self, dose: Dose, name: str) -> Dvh:
        """Return the DVH of a structure, or of a part of an organ."""
        return dvh(dose, self.region(name), end_slab=self.inputs.settings.end_slab)

    def plan_shape(self, goal: Goal, physical: Dose, share_delivered: float) -> PlanShape:
        """Return what a goal on conformity or fall-off is judged on.

        A goal of a prescribed target is about that target in the whole body; a goal of any other
        structure is about all targets together and the dose in that structure, and 100 % is the
        highest prescription.

        Parameters
        ----------
        goal : Goal
            Of CI, R50% or D2cm.
        physical : Dose
            Of the fractions counted.
        share_delivered : float
            These over the planned ones.
        """
        name = goal.structure
        is_target = name in self.prescribed_gy
        bodies = [mask for mask in self.masks.values() if mask.kind is StructureKind.EXTERNAL]
        prescribed = self.prescription_of(name)
        return PlanShape(
            dose=physical,
            region=bodies[0] if is_target else self.masks[name],
            target=self.masks[name] if is_target else self._all_targets(),
            target_dvh=self.histogram(physical, name) if is_target else None,
            prescription_gy=None if prescribed is None else prescribed * share_delivered,
        )
