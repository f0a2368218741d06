"""Targets that reach out of the body: planned inside it, judged as drawn, and said."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from rerad.core import Finding, Grid, Mask, Severity
from rerad.errors import InputError, StructureNotFoundError

LEAST_SHARE = 0.01
"""Of a target's volume outside the body; less is the roughness of contours and voxels."""


INSIDE = 0.5
"""Share of a voxel from which on it counts as inside, as wherever beams are opened."""


def cut_to_body(
    masks: Mapping[str, Mask], body: Mask, targets: Iterable[str], grid: Grid
) -> dict[str, Mask]:
    """Return masks with targets cut where less than half of a voxel is body.

    No dose is reported in air: a plan that is asked for dose there opens its beams ever further.

    Parameters
    ----------
    masks : mapping of str to Mask
        Structures on crops of `grid`.
    body : Mask
        Outline of the patient.
    targets : iterable of str
        Prescribed targets.
    grid : Grid
        Dose grid.

    Raises
    ------
    StructureNotFoundError
        If there is no mask of a target.
    InputError
        If nothing of a target is on the grid or in the body, or it is smaller than voxels.
    """
    inside = body.on(grid) >= INSIDE
    cut = dict(masks)
    for name in targets:
        if name not in masks:
            msg = f"target {name} is not among the masks: {', '.join(sorted(masks))}; draw it"
            raise StructureNotFoundError(msg)
        mask = masks[name]
        there = inside[grid.region_of(mask.grid)]
        fraction = np.where(there, mask.fraction, np.float32(0))
        if not np.any(fraction > 0):
            msg = (
                f"target {name} lies outside the dose grid or the body outline {body.name}, where "
                "there is no dose; draw it inside the body, or correct the outline"
            )
            raise InputError(msg)
        if fraction.max() < INSIDE:
            msg = (
                f"target {name} fills no dose voxel of {grid.spacing_mm[0]:g} mm by half; take a "
                "smaller dose_grid_mm"
            )
            raise InputError(msg)
        cut[name] = replace(mask, fraction=fraction)
    return cut


def outside_body_findings(
    masks: Mapping[str, Mask], body: Mask, targets: Iterable[str], grid: Grid
) -> list[Finding]:
    """Say how much of each target lies outside the body; parameters as for `cut_to_body`."""
    share_of_body = body.on(grid)
    findings = []
    for name in dict.fromkeys(targets):
        mask = masks[name]
        total = float(mask.fraction.sum())
        beyond = np.maximum(mask.fraction - share_of_body[grid.region_of(mask.grid)], 0.0)
        outside = float(beyond.sum())
        if total > 0 and outside > LEAST_SHARE * total:
            text = (
                f"{outside * grid.voxel_volume_cc:.1f} cc ({100 * outside / total:.0f} %) of "
                f"{name} lie outside the body outline, where there is no dose. They were left out "
                "of the optimisation; coverage is that of the whole target as drawn. Cut the "
                "target to the body, or add bolus and include it in the outline."
            )
            findings.append(Finding(Severity.SERIOUS, "target-outside-body", text, name))
    return findings
