"""The remaining tolerance for a planning system that knows nothing of earlier courses.

As RTDOSE: the physical dose that each voxel may still get in the planned number of fractions, for
each organ and combined. As RTSTRUCT: nested volumes of each organ that must stay below a level, so
that ordinary maximum-dose objectives keep the cumulative limit. Zero in the doses means nothing
left, unknown, or no organ with a limit: RTDOSE has no other word. The volumes of unknown dose are
drawn as such.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rerad import dicom
from rerad.case.budget import CaseBudget
from rerad.core import Dose, Grid, Structure, StructureKind, StructureSet
from rerad.dicom import PlanReference, StudyHeader, UidFactory
from rerad.errors import CaseError, InputError
from rerad.planning.remaining_map import OrganRemaining
from rerad.reporting.content_limits import LimitVolume
from rerad.structures import contours_from_mask

NAME_LENGTH = 16
"""Longest structure name that every planning system shows in full (TG-263)."""

ANY = "Any"
"""Stands for all organs together in names."""


@dataclass(frozen=True, eq=False, slots=True)
class ExportedLimits:
    """What was written.

    Parameters
    ----------
    doses : tuple of Path
        RTDOSE files, combined first.
    structures : Path
        RTSTRUCT.
    volumes : tuple of LimitVolume
        Every volume in it.
    """

    doses: tuple[Path, ...]
    structures: Path
    volumes: tuple[LimitVolume, ...]


def volume_name(organ: str, level_gy: float | None) -> str:
    """Return a short name of an avoidance volume.

    ``zLt30_SacralPl_R``: left (less than) 30 Gy; ``zUnk_...`` for unknown earlier dose. The
    leading z keeps it out of evaluation; the side of the organ stays at the end.

    Parameters
    ----------
    organ : str
        Structure name.
    level_gy : float or None
        Level in Gy; None for the unknown part.

    Examples
    --------
    >>> volume_name("SacralPlex_R", 30.0)
    'zLt30_SacralPl_R'
    """
    head = "zUnk" if level_gy is None else f"zLt{level_gy:g}"
    side = organ[-2:] if organ[-2:] in {"_L", "_R"} else ""
    stem = organ[: len(organ) - len(side)]
    room = NAME_LENGTH - len(head) - 1 - len(side)
    return f"{head}_{stem[:room]}{side}"


def export_limits(budget: CaseBudget, levels_gy: Sequence[float], folder: Path) -> ExportedLimits:
    """Write the remaining tolerance of a case as RTDOSE and RTSTRUCT.

    Parameters
    ----------
    budget : CaseBudget
        With a remaining map.
    levels_gy : sequence of float
        Physical dose levels of the nested volumes, above 0.
    folder : Path
        Where the files go; made.

    Raises
    ------
    CaseError
        If no organ has a limit, or none of the earlier doses names its plan.
    InputError
        If a level is not above 0 or two volumes would get one name.
    """
    if budget.remaining is None:
        msg = (
            f"{budget.loaded.path}: no drawn organ has a limit in the rule set; nothing to export"
        )
        raise CaseError(msg)
    if not levels_gy or not all(0 < level < 500 for level in levels_gy):
        msg = f"expected levels above 0 Gy, got {list(levels_gy)}"
        raise InputError(msg)
    drawn, volumes = _volumes(budget, sorted(set(levels_gy)))
    folder.mkdir(parents=True, exist_ok=True)
    image = budget.loaded.inputs.image
    header = StudyHeader(
        study_uid=image.study_uid, uids=UidFactory(), study_description="Remaining tolerance"
    )
    structures = folder / "RTSTRUCT_limits.dcm"
    dicom.write_structure_set(
        StructureSet("rerad limits", tuple(drawn)),
        image,
        budget.loaded.patient,
        structures,
        study=replace(header, series_number=301),
    )
    doses = _write_doses(budget, folder, header)
    return ExportedLimits(doses, structures, tuple(volumes))


def _volumes(
    budget: CaseBudget, levels_gy: Sequence[float]
) -> tuple[list[Structure], list[LimitVolume]]:
    """Return the nested volumes of each organ and of all together."""
    remaining = budget.remaining
    if remaining is None:  # excluded by the caller
        raise AssertionError(budget.loaded.path)
    drawn: list[Structure] = []
    volumes: list[LimitVolume] = []
    names: set[str] = set()
    parts = [(ANY, remaining.combined), *((o.structure, o.physical) for o in remaining.organs)]
    for organ, dose in parts:
        unknown = _unknown_part(budget, organ)
        regions = [(level, dose.values < level) for level in levels_gy]
        for level, inside in [*regions, (None, unknown)]:
            name = volume_name(organ, level)
            structure = _drawn(name, inside, dose.grid, budget)
            if structure is None:
                continue
            if name in names:
                msg = f"two volumes would be called {name}; rename one of the organs"
                raise InputError(msg)
            names.add(name)
            drawn.append(structure)
            cc = float(np.count_nonzero(inside)) * dose.grid.voxel_volume_cc
            volumes.append(LimitVolume(name, organ, level, cc))
    if not drawn:
        msg = (
            f"{budget.loaded.path}: every organ may get more than {max(levels_gy):g} Gy; there is "
            "no volume to draw at these levels"
        )
        raise CaseError(msg)
    return drawn, volumes


def _unknown_part(budget: CaseBudget, organ: str) -> NDArray[np.bool_]:
    """Return the voxels of an organ, or of any, whose earlier dose is unknown."""
    remaining = budget.remaining
    organs = remaining.organs if remaining is not None else ()
    if organ != ANY:
        (found,) = [item for item in organs if item.structure == organ]
        return _unknown(found, budget)
    inside = np.zeros(budget.grid.shape, dtype=bool)
    for item in organs:
        inside[budget.grid.region_of(item.physical.grid)] |= _unknown(item, budget)
    return inside


def _unknown(item: OrganRemaining, budget: CaseBudget) -> NDArray[np.bool_]:
    """Return the unknown voxels of one organ on its crop."""
    organ = budget.masks[item.structure].fraction > 0
    return np.asarray(organ & np.isnan(item.physical.values))


def _drawn(
    name: str, inside: NDArray[np.bool_], grid: Grid, budget: CaseBudget
) -> Structure | None:
    """Return a volume as contours on the slices of the CT; None if it is empty there."""
    if not inside.any():
        return None
    ct = budget.loaded.inputs.image.grid
    z = ct.axes_mm[2]
    nearest = np.rint((z - grid.origin_mm[2]) / grid.spacing_mm[2]).astype(int)
    wanted = np.flatnonzero((nearest >= 0) & (nearest < grid.shape[0]))
    if not len(wanted):
        return None
    planes = Grid(
        (len(wanted), *grid.shape[1:]),
        (grid.origin_mm[0], grid.origin_mm[1], float(z[wanted[0]])),
        (grid.spacing_mm[0], grid.spacing_mm[1], ct.spacing_mm[2]),
        grid.frame_uid,
    )
    structure = contours_from_mask(
        inside[nearest[wanted]],
        planes,
        name=name,
        kind=StructureKind.CONTROL,
        color=(255, 0, 255) if name.startswith("zUnk") else (230, 120, 0),
    )
    return None if structure.is_empty else structure


def _write_doses(budget: CaseBudget, folder: Path, header: StudyHeader) -> tuple[Path, ...]:
    """Write the remaining physical dose combined and per organ."""
    remaining = budget.remaining
    if remaining is None:  # excluded by the caller
        raise AssertionError(budget.loaded.path)
    plans = _plans(budget)
    n = remaining.n_fractions
    parts = [(ANY, remaining.combined)]
    for organ in remaining.organs:
        whole = np.full(budget.grid.shape, np.nan, dtype=np.float32)
        whole[budget.grid.region_of(organ.physical.grid)] = organ.physical.values
        parts.append((organ.structure, Dose(whole, budget.grid)))
    paths = []
    for number, (name, dose) in enumerate(parts):
        path = folder / f"RTDOSE_left_{'combined' if name == ANY else name}.dcm"
        what = "all organs" if name == ANY else name
        dicom.write_dose(
            dose,
            budget.loaded.patient,
            path,
            study=replace(
                header,
                series_number=302 + number,
                series_description=f"Remaining Gy in {n} fx: {what}"[:64],
            ),
            plans=plans,
            comment=f"LEFT in {n} fx, not given",
            unknown_as_zero=True,
        )
        paths.append(path)
    return tuple(paths)


def _plans(budget: CaseBudget) -> tuple[PlanReference, ...]:
    """Return references to the earlier plans: RTDOSE must name a plan and there is no new one."""
    found = [
        PlanReference(prior.study.plan.instance_uid)
        for prior in budget.priors
        if prior.study.plan is not None and prior.study.plan.instance_uid
    ]
    # Without one the reference leads nowhere; readers that need a plan take the volumes instead.
    return tuple(found) or (PlanReference(UidFactory().new("remaining tolerance")),)
