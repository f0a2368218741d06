"""A course's CT registered deformably to today's, with structures as guides and as judges.

A structure that guided the registration cannot judge it: those named as guides are painted in,
every other structure that is drawn on both CTs under one name is compared.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rerad.accumulation.map_dose import pulled
from rerad.core import (
    DisplacementField,
    Finding,
    Mask,
    RigidTransform,
    Severity,
    StructureKind,
)
from rerad.errors import InputError
from rerad.imaging import AIR_HU, resample_image
from rerad.planning import PlanningInputs, PriorInput, external_of
from rerad.registration import assess_deformable, register_deformable
from rerad.reporting.figures_deformable import DeformablePicture, write_deformable_figure
from rerad.structures import rasterize

Pairs = list[tuple[Mask, Mask]]

JUDGED_MM = 3.0
"""Voxels on which structures of both CTs are compared."""


@dataclass(frozen=True, slots=True)
class DeformableChoice:
    """How to register deformably.

    Parameters
    ----------
    guides : tuple of str
        Structures drawn on both CTs that lead the registration; they do not judge it.
    pictures : Path or None
        Folder, made, for a picture of each registration; None for none.
    """

    guides: tuple[str, ...] = ()
    pictures: Path | None = None


def deform(
    inputs: PlanningInputs,
    prior: PriorInput,
    rigid: RigidTransform,
    choice: DeformableChoice,
) -> tuple[RigidTransform | DisplacementField, tuple[Finding, ...]]:
    """Register a course's CT deformably and judge it.

    Parameters
    ----------
    inputs : PlanningInputs
        Today's CT and structures.
    prior : PriorInput
        The course with its CT and structures.
    rigid : RigidTransform
        From its frame to today's.
    choice : DeformableChoice
        Guides.

    Returns
    -------
    transform : DisplacementField or RigidTransform
        The field if it is assured, else the rigid transform as it came.
    findings : tuple of Finding
        Its quality in words.

    Raises
    ------
    InputError
        If a guide is not drawn on both CTs.
    """
    moving, fixed = prior.study.image, inputs.image
    if moving.grid.frame_uid == fixed.grid.frame_uid:
        return rigid, ()
    shared = _shared(prior, inputs)
    missing = [name for name in choice.guides if name not in shared]
    if missing:
        msg = (
            f"{prior.course.name}: {', '.join(missing)} cannot guide the registration, because it "
            f"is not drawn on both CTs; these are: {', '.join(shared) or 'none'}"
        )
        raise InputError(msg)
    guides: Pairs = [shared[name] for name in choice.guides]
    judges: Pairs = [pair for name, pair in shared.items() if name not in choice.guides]
    field = register_deformable(moving, fixed, rigid, guides=guides)
    back = register_deformable(
        fixed, moving, rigid.inverse(), guides=[(here, there) for there, here in guides]
    )
    body = rasterize(external_of(inputs.structures), field.grid)
    quality = assess_deformable(field, body, backward=back, guides=judges)
    if choice.pictures is not None:
        _draw(choice.pictures, prior, inputs, field)
    dice = ", ".join(f"{name} {value:.2f}" for name, value in quality.guide_dice)
    inverse = quality.inverse_median_mm
    text = (
        f"{prior.course.name} registered deformably: Jacobian {quality.jacobian_min:.2f} to "
        f"{quality.jacobian_max:.2f}, {quality.n_folded} voxels fold, there and back "
        f"{'unknown' if inverse is None else f'{inverse:.1f} mm'} (median); Dice {dice or '-'}."
    )
    said = (Finding(Severity.NOTE, "deformable-quality", text, prior.course.name),)
    findings = (*said, *quality.findings)
    if not quality.is_acceptable:
        return rigid, findings
    return field, findings


def _draw(
    folder: Path, prior: PriorInput, inputs: PlanningInputs, field: DisplacementField
) -> None:
    """Write the checkerboard and the Jacobian of a registration."""
    folder.mkdir(parents=True, exist_ok=True)
    moving = prior.study.image
    values = np.asarray(moving.values, dtype=np.float32)
    mapped = pulled(values, moving.grid, field, field.grid, outside=AIR_HU)
    here = resample_image(inputs.image, field.grid, outside=AIR_HU).values
    name = "".join(c if c.isalnum() else "_" for c in prior.course.name)
    picture = DeformablePicture(
        np.asarray(here, dtype=np.float32),
        mapped,
        field.jacobian(),
        field.grid,
        f"{prior.course.name} on today's CT, deformable: edges must run on between the fields",
    )
    write_deformable_figure(folder / f"deformable_{name}.png", picture)


def _shared(prior: PriorInput, inputs: PlanningInputs) -> dict[str, tuple[Mask, Mask]]:
    """Return the organs drawn on both CTs under one name, each on its own CT's box."""
    there = prior.study.structures
    if there is None:
        return {}
    spacing = (JUDGED_MM,) * 3
    here_grid = inputs.image.grid.with_spacing(spacing)
    there_grid = prior.study.image.grid.with_spacing(spacing)
    outline = external_of(inputs.structures).name
    pairs = {}
    for structure in inputs.structures.structures:
        name = structure.name
        is_tissue = not structure.kind.is_target and structure.kind is not StructureKind.SUPPORT
        if not is_tissue or structure.is_empty or name == outline:
            continue
        if name not in there or there[name].is_empty:
            continue
        pairs[name] = (rasterize(there[name], there_grid), rasterize(structure, here_grid))
    return pairs
