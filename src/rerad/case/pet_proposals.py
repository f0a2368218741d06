"""Outlines of uptake proposed by a recipe: written apart, and used only where a person accepts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, ValidationError

from rerad.case.history_schema import Strict
from rerad.case.nerve_schema import NervesTable, Point
from rerad.case.nerve_study import NerveScan, NerveStudy
from rerad.core import (
    Finding,
    Grid,
    Image,
    ImageUnit,
    Mask,
    Modality,
    Severity,
    Structure,
    StructureKind,
)
from rerad.errors import InputError
from rerad.imaging import resample_image
from rerad.pet import (
    DelineationProposal,
    DelineationTask,
    by_adaptive_threshold,
    by_gradient,
    by_reference,
    by_region_in_tube,
    by_share_of_maximum,
    by_threshold,
)
from rerad.structures import contours_from_mask
from rerad.targets import Recipe, tube_mask

COLOR = (255, 60, 220)
"""Of proposals; no target has it."""

Positive = Annotated[float, Field(gt=0)]


class ProposalTable(Strict):
    """An outline on PET to be proposed; every number is the user's choice."""

    name: str = Field(min_length=1, description="Of the outline, such as zPET_L5_R")
    method: Literal[
        "fixed",
        "share_of_maximum",
        "adaptive",
        "liver",
        "blood pool",
        "gradient",
        "region_in_tube",
    ] = Field(description="How it is found")
    seed_mm: Point = Field(description="A point in the uptake, [x, y, z] in mm")
    reach_mm: Positive = Field(description="How far from the seed it may extend")
    threshold: Positive | None = Field(default=None, description="SUV; fixed and region_in_tube")
    share: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="Of the maximum, or between background and peak"
    )
    background: Annotated[float, Field(ge=0)] | None = Field(
        default=None, description="SUV around the object; adaptive"
    )
    along: str = Field(default="", description="Path of the tube; region_in_tube")
    tube_radius_mm: Positive | None = Field(default=None, description="region_in_tube")


NEEDS: Mapping[str, tuple[str, ...]] = {
    "fixed": ("threshold",),
    "share_of_maximum": ("share",),
    "adaptive": ("background", "share"),
    "region_in_tube": ("threshold", "along", "tube_radius_mm"),
}
"""What each method wants to know."""


@dataclass(frozen=True, eq=False, slots=True)
class ProposedOutline:
    """A proposal, and the same on the planning CT.

    Parameters
    ----------
    proposal : DelineationProposal
        On the PET.
    mask : Mask
        On a crop of the planning CT; of no target's kind.
    structure : Structure
        Its contours.
    """

    proposal: DelineationProposal
    mask: Mask
    structure: Structure


def proposals_of(rows: Sequence[Mapping[str, Any]]) -> tuple[ProposalTable, ...]:
    """Read the tables ``[[proposal]]`` of a recipe.

    Raises
    ------
    InputError
        With the first key that is unknown, missing, wrong, or wanted by the method.
    """
    tables = []
    for row in rows:
        try:
            table = ProposalTable.model_validate(row)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            name = row.get("name", "(no name)") if isinstance(row, Mapping) else "(no name)"
            msg = f"[[proposal]] {name}: {key}: {first['msg']}, got {first.get('input')!r}"
            raise InputError(msg) from error
        for key in NEEDS.get(table.method, ()):
            if not getattr(table, key) and getattr(table, key) != 0.0:
                msg = f"[[proposal]] {table.name}: {table.method} needs {key}; state it"
                raise InputError(msg)
        tables.append(table)
    names = [table.name for table in tables]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"[[proposal]]: {', '.join(twice)} is proposed twice; give each its own name"
        raise InputError(msg)
    return tuple(tables)


def outline_uptake(
    tables: Sequence[ProposalTable], scan: NerveScan, nerves: NervesTable | None, study: NerveStudy
) -> dict[str, ProposedOutline]:
    """Propose every outline of a recipe.

    Parameters
    ----------
    tables : sequence of ProposalTable
        What is asked for.
    scan : NerveScan
        Planning CT and PET.
    nerves : NervesTable or None
        Has the PET's point spread.
    study : NerveStudy
        Has paths and reference tissues.

    Returns
    -------
    dict of str to ProposedOutline

    Raises
    ------
    InputError
        If there is no PET or point spread, no such path or tissue, or nothing to outline.
    """
    if not tables:
        return {}
    if scan.pet_suv is None or nerves is None or nerves.pet_fwhm_mm is None:
        msg = (
            "[[proposal]]: expected a PET and its pet_fwhm_mm under [nerves], one is missing; an "
            "outline must be held against what the scanner resolves"
        )
        raise InputError(msg)
    # Beyond a registered PET nothing is known: no outline goes there.
    known = np.nan_to_num(np.asarray(scan.pet_suv.values, dtype=np.float32), nan=0.0)
    suv = replace(scan.pet_suv, values=known.astype(np.float32))
    found = {}
    for table in tables:
        task = DelineationTask(table.name, table.seed_mm, table.reach_mm, max(nerves.pet_fwhm_mm))
        proposal = _proposed(table, task, suv, study)
        mask = _on_planning(proposal, scan.image.grid)
        drawn = contours_from_mask(
            mask.fraction >= 0.5, mask.grid, name=table.name, kind=mask.kind, color=COLOR
        )
        found[table.name] = ProposedOutline(proposal, mask, drawn)
    return found


def _proposed(
    table: ProposalTable, task: DelineationTask, suv: Image, study: NerveStudy
) -> DelineationProposal:
    """Outline by the method that is asked for."""
    if table.method == "gradient":
        return by_gradient(suv, task)
    if table.method == "share_of_maximum":
        return by_share_of_maximum(suv, task, share=table.share or 0.0)
    if table.method == "adaptive":
        background = table.background or 0.0
        return by_adaptive_threshold(suv, task, background=background, share=table.share or 0.0)
    if table.method in {"liver", "blood pool"}:
        tissue = next((r for r in study.references if r.name == table.method), None)
        if tissue is None:
            msg = (
                f"[[proposal]] {table.name}: expected {table.method} under [nerves.references], "
                "found none; name structures of it"
            )
            raise InputError(msg)
        return by_reference(suv, task, tissue=tissue.name, mean_sd=(tissue.mean, tissue.sd))
    threshold = table.threshold or 0.0
    if table.method == "fixed":
        return by_threshold(suv, task, threshold)
    if table.along not in study.paths:
        msg = f"[[proposal]] {table.name}: expected a measured path, got {table.along}; there are "
        msg += ", ".join(study.paths) or "none"
        raise InputError(msg)
    path = study.paths[table.along]
    radius_mm, span_mm = table.tube_radius_mm or 0.0, (0.0, path.length_mm)
    tube = tube_mask(path, suv.grid, radius_mm, span_mm=span_mm, name=table.name)
    return by_region_in_tube(suv, task, tube, threshold=threshold)


def _on_planning(proposal: DelineationProposal, planning: Grid) -> Mask:
    """Return a proposal on a crop of the planning CT: shares linear between PET voxels."""
    grid = proposal.grid
    at = grid.points(np.argwhere(proposal.inside))
    pad = np.asarray(grid.spacing_mm)
    low, high = planning.indices(at.min(axis=0) - pad), planning.indices(at.max(axis=0) + pad)
    start = np.clip(np.floor(low).astype(int), 0, np.asarray(planning.shape) - 1)
    stop = np.clip(np.ceil(high).astype(int) + 1, start + 1, planning.shape)
    k, j, i = (int(v) for v in start)
    nk, nj, ni = (int(v) for v in stop)
    box = planning.crop((k, j, i), (nk, nj, ni))
    inside = proposal.inside.astype(np.float32)
    whole = Image(inside, grid, Modality.PET, ImageUnit.ARBITRARY)
    share = resample_image(whole, box, outside=0.0).values
    fraction = (share >= 0.5).astype(np.float32)
    if not fraction.any():
        msg = f"{proposal.name}: lies outside the planning CT; nothing can be drawn there"
        raise InputError(msg)
    return Mask(proposal.name, StructureKind.CONTROL, fraction, box)


def accepted_masks(recipe: Recipe, outlines: Mapping[str, ProposedOutline]) -> dict[str, Mask]:
    """Return the outlines that steps of a recipe use.

    Raises
    ------
    InputError
        If a step that is no GTV uses one: only a GTV names who accepted it.
    """
    used = {}
    for step in recipe.steps:
        for name in (*step.of, *step.cut_at):
            if name not in outlines:
                continue
            if step.kind is not StructureKind.GTV or not step.accepted_by:
                msg = (
                    f"step {step.name}: {name} is only a proposal; take it over in a step of kind "
                    "GTV with accepted_by, the name of who looked at it"
                )
                raise InputError(msg)
            used[name] = outlines[name].mask
    return used


def outline_findings(outlines: Mapping[str, ProposedOutline]) -> list[Finding]:
    """Return what must be weighed of the outlines."""
    found = []
    for name, outline in outlines.items():
        proposal = outline.proposal
        text = (
            f"{name}: proposed on PET by {proposal.method}, {proposal.volume_cc:.1f} cc; it is no "
            "target until a person accepts it"
        )
        found += [Finding(Severity.CAUTION, "outline-proposed", text, name), *proposal.findings]
    return found


def outline_rows(outlines: Mapping[str, ProposedOutline]) -> list[dict[str, Any]]:
    """Return the outlines as plain values."""
    return [
        {
            "name": name,
            "method": str(one.proposal.method),
            "source": one.proposal.source,
            "threshold_suv": (
                round(one.proposal.threshold, 4) if np.isfinite(one.proposal.threshold) else None
            ),
            "volume_cc": round(one.proposal.volume_cc, 4),
            "is_accepted": False,
        }
        for name, one in outlines.items()
    ]
