"""The remaining tolerance for a planning system that knows nothing of earlier courses.

As RTDOSE: the physical dose that each voxel may still get in the planned number of fractions, for
each organ and combined. As RTSTRUCT: nested volumes of each organ that must stay below a level, so
that ordinary maximum-dose objectives keep the cumulative limit.

RTDOSE has no word for unknown or for no limit. What is unknown is written as 0, as what is spent:
nobody can say that any dose may be given there; the two are counted apart, and the unknown part is
drawn as a volume of its own. Where no organ with a limit lies, a stated ceiling is written, higher
than all that is left anywhere: no limit of the rule set holds there, which is not to say that any
dose may be given. The doses refer to a plan without beams that is written beside them, or to a
plan on the same CT that the user names; never to an earlier plan, whose dose they are not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rerad import dicom
from rerad.case.budget import CaseBudget
from rerad.case.returned import require_own_frame, require_own_patient
from rerad.core import Dose, Grid, Structure, StructureKind, StructureSet
from rerad.dicom import PlanReference, StudyHeader, UidFactory
from rerad.errors import CaseError, InputError
from rerad.planning.remaining_map import RemainingMap
from rerad.reporting.content_limits import LimitDose, LimitVolume
from rerad.structures import contours_from_mask

NAME_LENGTH = 16
"""Longest structure name that every planning system shows in full (TG-263)."""

LIMITS_SET = "rerad limits"
"""Label of the structure set of exported limits; import passes it over."""

CEILING_STEP_GY = 100.0
"""The dose that stands for "no limit" is a multiple of it: easy to see, never a limit."""

ANY = "Any"
"""Stands for all organs together in names."""


@dataclass(frozen=True, eq=False, slots=True)
class ExportedLimits:
    """What was written.

    Parameters
    ----------
    doses : tuple of LimitDose
        RTDOSE files, combined first.
    structures : Path
        RTSTRUCT.
    volumes : tuple of LimitVolume
        Every volume in it.
    plan : Path or None
        The plan without beams that the doses refer to; None if they refer to the user's.
    """

    doses: tuple[LimitDose, ...]
    structures: Path
    volumes: tuple[LimitVolume, ...]
    plan: Path | None


def volume_name(organ: str, level_gy: float | None, *, taken: Collection[str] = ()) -> str:
    """Return a short name of an avoidance volume.

    ``zLt30_SacralPl_R``: left (less than) 30 Gy; ``zUnk_...`` for unknown earlier dose. The
    leading z keeps it out of evaluation; the side of the organ stays at the end.

    Parameters
    ----------
    organ : str
        Structure name.
    level_gy : float or None
        Level in Gy; None for the unknown part.
    taken : collection of str
        Names that are in use: an organ whose name differs only in what is cut off is numbered.

    Examples
    --------
    >>> volume_name("SacralPlex_R", 30.0)
    'zLt30_SacralPl_R'
    >>> volume_name("SacralPlexus_R", 30.0, taken={"zLt30_SacralPl_R"})
    'zLt30_SacralP2_R'
    """
    head = "zUnk" if level_gy is None else f"zLt{level_gy:g}"
    side = organ[-2:] if organ[-2:] in {"_L", "_R"} else ""
    stem = organ[: len(organ) - len(side)]
    room = NAME_LENGTH - len(head) - 1 - len(side)
    name, number = f"{head}_{stem[:room]}{side}", 1
    while name in taken:
        number += 1
        name = f"{head}_{stem[: room - len(str(number))]}{number}{side}"
    return name


def export_limits(
    budget: CaseBudget, levels_gy: Sequence[float], folder: Path, *, plan: Path | None = None
) -> ExportedLimits:
    """Write the remaining tolerance of a case as RTDOSE and RTSTRUCT.

    Parameters
    ----------
    budget : CaseBudget
        With a remaining map.
    levels_gy : sequence of float
        Physical dose levels of the nested volumes, above 0.
    folder : Path
        Where the files go; made.
    plan : Path or None
        RTPLAN on the planning CT that the doses shall refer to, such as the new plan in the other
        system; None writes one without beams.

    Raises
    ------
    CaseError
        If no organ has a limit, the dose of a course is unknown, or the plan is of another
        patient or frame.
    InputError
        If a level is not above 0.
    """
    if budget.remaining is None:
        msg = (
            f"{budget.loaded.path}: no drawn organ has a limit in the rule set; nothing to export"
        )
        raise CaseError(msg)
    missing = budget.loaded.inputs.courses_without_dose
    if missing:
        msg = (
            f"{budget.loaded.path}: nobody knows what {', '.join(c.name for c in missing)} gave, "
            "so nothing can be said to be left anywhere; ask for the record, or state "
            "treated_regions or point_doses, before limits are exported"
        )
        raise CaseError(msg)
    if not levels_gy or not all(0 < level < 500 for level in levels_gy):
        msg = f"expected levels above 0 Gy, got {list(levels_gy)}"
        raise InputError(msg)
    drawn, volumes = _volumes(budget, sorted(set(levels_gy)))
    referred = None if plan is None else _own_plan(budget, plan)
    folder.mkdir(parents=True, exist_ok=True)
    image = budget.loaded.inputs.image
    header = StudyHeader(
        study_uid=image.study_uid, uids=UidFactory(), study_description="Remaining tolerance"
    )
    structures = folder / "RTSTRUCT_limits.dcm"
    written = dicom.write_structure_set(
        StructureSet(LIMITS_SET, tuple(drawn)),
        image,
        budget.loaded.patient,
        structures,
        study=replace(header, series_number=301),
    )
    carrier = None
    if referred is None:
        carrier = folder / "RTPLAN_limits.dcm"
        referred = dicom.write_limits_plan(
            dicom.LimitsPlan(budget.n_fractions, written.instance_uid, _record(budget)),
            budget.loaded.patient,
            carrier,
            study=replace(header, series_number=302),
            image=image,
        )
    doses = _write_doses(budget, folder, header, referred)
    return ExportedLimits(doses, structures, tuple(volumes), carrier)


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
    for organ, dose, _, unknown in _parts(budget):
        regions = [(level, dose.values < level) for level in levels_gy]
        for level, inside in [*regions, (None, unknown)]:
            name = volume_name(organ, level, taken=names)
            structure = _drawn(name, inside, dose.grid, budget)
            if structure is None:
                continue
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
        kind=StructureKind.PRV,  # AVOIDANCE in DICOM, which is what these volumes are for
        color=(255, 0, 255) if name.startswith("zUnk") else (230, 120, 0),
    )
    return None if structure.is_empty else structure


def ceiling_gy(remaining: RemainingMap) -> float:
    """Return the dose that stands for "no limit here": above all that is left anywhere.

    Parameters
    ----------
    remaining : RemainingMap
        What is exported.
    """
    known = [o.physical.values[np.isfinite(o.physical.values)] for o in remaining.organs]
    highest = max((float(values.max()) for values in known if values.size), default=0.0)
    return CEILING_STEP_GY * (highest // CEILING_STEP_GY + 1.0)


def _parts(budget: CaseBudget) -> list[tuple[str, Dose, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Return name, dose left, limited and unknown voxels of all organs together and of each."""
    remaining = budget.remaining
    if remaining is None:  # excluded by the caller
        raise AssertionError(budget.loaded.path)
    grid = budget.grid
    left: dict[str, NDArray[np.float32]] = {}
    for organ in remaining.organs:
        whole = np.full(grid.shape, np.nan, dtype=np.float32)
        whole[grid.region_of(organ.physical.grid)] = organ.physical.values
        # An organ of two limits may get what both leave; unknown in one is unknown.
        left[organ.structure] = np.minimum(left.get(organ.structure, whole), whole)
    parts, anywhere = [], np.zeros(grid.shape, dtype=bool)
    for name, whole in left.items():
        mask = budget.masks[name]
        inside = np.zeros(grid.shape, dtype=bool)
        inside[grid.region_of(mask.grid)] = mask.fraction > 0
        anywhere |= inside
        parts.append((name, Dose(whole, grid), inside, inside & np.isnan(whole)))
    unknown = anywhere & np.isnan(remaining.combined.values)
    return [(ANY, remaining.combined, anywhere, unknown), *parts]


def _write_doses(
    budget: CaseBudget, folder: Path, header: StudyHeader, plan: PlanReference
) -> tuple[LimitDose, ...]:
    """Write the remaining physical dose combined and per organ."""
    remaining = budget.remaining
    if remaining is None:  # excluded by the caller
        raise AssertionError(budget.loaded.path)
    n, ceiling = remaining.n_fractions, ceiling_gy(remaining)
    written = []
    for number, (name, dose, limited, unknown) in enumerate(_parts(budget)):
        path = folder / f"RTDOSE_left_{'combined' if name == ANY else name}.dcm"
        what = "all organs" if name == ANY else name
        # Unknown becomes 0 on writing, and is counted in the comment; no limit is the ceiling.
        values = np.where(limited, dose.values, np.float32(ceiling)).astype(np.float32)
        dicom.write_dose(
            Dose(values, dose.grid),
            budget.loaded.patient,
            path,
            study=replace(
                header,
                series_number=303 + number,
                series_description=f"Remaining Gy in {n} fx: {what}"[:64],
            ),
            plans=(plan,),
            comment=f"{dicom.REMAINING_MARK} {n} fx; {ceiling:g} Gy=no limit",
            derivation=dicom.DoseDerivation(grade=_record(budget)),
            unknown_as_zero=True,
        )
        spent = limited & ~unknown & (dose.values <= 0)
        counts = (int(np.count_nonzero(part)) for part in (limited, unknown, spent))
        written.append(LimitDose(path, name, ceiling, *counts))
    return tuple(written)


def _record(budget: CaseBudget) -> str:
    """Return the grade of the poorest record of earlier courses, in words; empty for none."""
    return ", ".join(dict.fromkeys(str(limit.grade) for limit in budget.limits if limit.grade))


def _own_plan(budget: CaseBudget, path: Path) -> PlanReference:
    """Return the user's plan, if it is of this patient and on this CT."""
    require_own_patient(budget.loaded.whose, path)
    plan = dicom.read_plan(path)
    require_own_frame(budget.loaded.whose, plan, path)
    return PlanReference(plan.instance_uid, budget.grid.frame_uid)
