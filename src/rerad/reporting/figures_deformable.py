"""Picture of a deformable registration: what lies on what, and where the field is strained.

Three planes through the middle of the body: today's CT and the mapped earlier one in a
checkerboard, where edges must run on from field to field, and the Jacobian, where red means that
tissue was squeezed to nothing or turned over.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rerad.accumulation.map_dose import pulled
from rerad.core import DisplacementField, Grid, Image
from rerad.errors import InputError
from rerad.imaging import AIR_HU, resample_image
from rerad.planning.result import CaseResult, PriorCourse
from rerad.reporting import style

_FONT: dict[Any, Any] = {"font.family": style.FONT["family"], "font.size": style.FONT["size"]}
_PANES = ("axial", "coronal", "sagittal")
SQUARE_MM = 35.0
"""Side of a field of the checkerboard."""


@dataclass(frozen=True, eq=False, slots=True)
class DeformablePicture:
    """What is drawn.

    Parameters
    ----------
    fixed_hu, mapped_hu : ndarray of shape (K, J, I)
        Today's CT and the earlier one carried onto it.
    jacobian : ndarray of shape (K, J, I)
        Change of volume.
    grid : Grid
        Of all three.
    title : str
        Above.
    """

    fixed_hu: NDArray[np.float32]
    mapped_hu: NDArray[np.float32]
    jacobian: NDArray[np.float64]
    grid: Grid
    title: str


def picture_of(
    today: Image, earlier: Image, field: DisplacementField, name: str
) -> DeformablePicture:
    """Return the picture of a displacement field between two CTs.

    Parameters
    ----------
    today, earlier : Image
        CTs in HU.
    field : DisplacementField
        From the frame of the earlier one to today's.
    name : str
        Of the earlier course.
    """
    values = np.asarray(earlier.values, dtype=np.float32)
    return DeformablePicture(
        np.asarray(resample_image(today, field.grid, outside=AIR_HU).values, dtype=np.float32),
        pulled(values, earlier.grid, field, field.grid, outside=AIR_HU),
        field.jacobian(),
        field.grid,
        f"{name} on today's CT, deformable: edges must run on between the fields",
    )


def draw_deformable(picture: DeformablePicture) -> Figure:
    """Draw checkerboards and Jacobians in three planes.

    Parameters
    ----------
    picture : DeformablePicture
        On one grid.

    Returns
    -------
    Figure
    """
    with matplotlib.rc_context(_FONT):
        figure = style.new_figure(5.0)
        figure.text(0.01, 0.975, picture.title, fontsize=7, color=style.INK, va="center")
        for column in range(3):
            left = 0.01 + column * 0.31
            upper = figure.add_axes((left, 0.5, 0.3, 0.43))
            lower = figure.add_axes((left, 0.03, 0.3, 0.43))
            _checkerboard(upper, picture, column)
            drawn = _strain(lower, picture, column)
        bar = figure.colorbar(drawn, cax=figure.add_axes((0.945, 0.08, 0.012, 0.33)))
        bar.ax.tick_params(labelsize=6, length=2, colors=style.SLATE)
        bar.set_label("Jacobian", fontsize=6, color=style.SLATE)
    return figure


def _plane(values: NDArray[Any], grid: Grid, column: int) -> tuple[NDArray[Any], float]:
    """Return the middle plane across one axis, head up, and its height over its width."""
    k, j, i = (n // 2 for n in grid.shape)
    sx, sy, sz = grid.spacing_mm
    if column == 0:
        return values[k], sy / sx
    if column == 1:
        return values[::-1, j], sz / sx
    return values[::-1, :, i], sz / sy


def _checkerboard(axes: Axes, picture: DeformablePicture, column: int) -> None:
    """Draw fields of today's CT and of the mapped one in turn."""
    here, aspect = _plane(picture.fixed_hu, picture.grid, column)
    there, _ = _plane(picture.mapped_hu, picture.grid, column)
    sx, sy, sz = picture.grid.spacing_mm
    steps = ((sy, sx), (sz, sx), (sz, sy))[column]
    rows = (np.arange(here.shape[0]) * steps[0] // SQUARE_MM)[:, None]
    columns = (np.arange(here.shape[1]) * steps[1] // SQUARE_MM)[None, :]
    mixed = np.where((rows + columns) % 2 == 0, here, there)
    axes.imshow(mixed, cmap="gray", vmin=-160, vmax=300, aspect=aspect)
    axes.set_title(_PANES[column], fontsize=6.5, color=style.SLATE)
    axes.set_axis_off()


def _strain(axes: Axes, picture: DeformablePicture, column: int) -> Any:
    """Draw the Jacobian: white for no change, red towards 0, blue for growth."""
    values, aspect = _plane(picture.jacobian, picture.grid, column)
    drawn = axes.imshow(
        values, cmap="RdBu", norm=TwoSlopeNorm(1.0, vmin=0.0, vmax=2.0), aspect=aspect
    )
    axes.set_axis_off()
    return drawn


def write_deformable_figure(path: Path, picture: DeformablePicture) -> None:
    """Write the picture as PNG, beside its place and renamed."""
    temporary = path.with_name(f".{path.name}")
    style.save(draw_deformable(picture), temporary)
    temporary.replace(path)


def draw_deformation(result: CaseResult, prior: PriorCourse) -> Figure:
    """Draw the displacement field that a course was mapped by.

    Raises
    ------
    InputError
        If it was mapped by none.
    """
    if prior.deformation is None:
        msg = f"{prior.course.name}: expected a displacement field to draw, got a rigid transform"
        raise InputError(msg)
    return draw_deformable(
        picture_of(result.planning_image, prior.study.image, prior.deformation, prior.course.name)
    )
