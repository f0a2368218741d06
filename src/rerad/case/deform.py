"""Deformable registration as a command asks for it, and its picture."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rerad.accumulation.map_dose import pulled
from rerad.core import DisplacementField
from rerad.imaging import AIR_HU, resample_image
from rerad.planning import PlanningInputs, PriorInput
from rerad.reporting.figures_deformable import DeformablePicture, write_deformable_figure


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


def draw_deformed(
    folder: Path, prior: PriorInput, inputs: PlanningInputs, field: DisplacementField
) -> Path:
    """Write the checkerboard and the Jacobian of a registration into a folder, which is made."""
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
    path = folder / f"deformable_{name}.png"
    write_deformable_figure(path, picture)
    return path
