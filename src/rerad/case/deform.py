"""Deformable registration as a command asks for it, and its picture."""

from dataclasses import dataclass
from pathlib import Path

from rerad.core import DisplacementField
from rerad.planning import PlanningInputs, PriorInput
from rerad.reporting.figures_deformable import picture_of, write_deformable_figure


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
    name = "".join(c if c.isalnum() else "_" for c in prior.course.name)
    picture = picture_of(inputs.image, prior.study.image, field, prior.course.name)
    path = folder / f"deformable_{name}.png"
    write_deformable_figure(path, picture)
    return path
