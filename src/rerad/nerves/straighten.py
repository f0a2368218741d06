"""Curved planar reformation: an image seen along a nerve as if the nerve were straight.

The planes across the path carry a frame that turns as little as possible along it (double
reflection), so that a straightened picture does not twist where the nerve bends.

References
----------
.. [1] Wang et al. (2008), ACM Trans. Graph. 27, 2, doi:10.1145/1330511.1330513.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from rerad.core import Image, NervePath
from rerad.errors import FrameMismatchError, InputError

TO_FRONT = (0.0, -1.0, 0.0)
"""Anterior, the direction that the first normal is nearest to."""


@dataclass(frozen=True, eq=False, slots=True)
class PathFrames:
    """Axes across a path at each of its points.

    Parameters
    ----------
    origin_mm, tangent, normal, binormal : ndarray of shape (N, 3)
        Point, direction, and the two axes across: right-handed, of unit length.
    """

    origin_mm: NDArray[np.float64]
    tangent: NDArray[np.float64]
    normal: NDArray[np.float64]
    binormal: NDArray[np.float64]


@dataclass(frozen=True, eq=False, slots=True)
class StraightImage:
    """An image along a path.

    Parameters
    ----------
    values : ndarray of shape (N, V, U)
        By arc length, along the binormal, along the normal; NaN outside the image.
    arc_mm : ndarray of shape (N,)
        Arc length of each plane.
    across_mm : ndarray of shape (U,)
        Distance from the path, the same along both axes (V = U).
    frames : PathFrames
        Where the planes are.
    """

    values: NDArray[np.float32]
    arc_mm: NDArray[np.float64]
    across_mm: NDArray[np.float64]
    frames: PathFrames


def frames_along(path: NervePath, *, towards: ArrayLike = TO_FRONT) -> PathFrames:
    """Return axes across a path that turn as little as possible along it.

    Parameters
    ----------
    path : NervePath
        Centre line.
    towards : array_like of shape (3,)
        The normal of the first plane is the direction across the path nearest to this one.

    Returns
    -------
    PathFrames

    Raises
    ------
    InputError
        If `towards` is zero.
    """
    wanted = np.asarray(towards, dtype=np.float64)
    if not np.linalg.norm(wanted) > 0:
        msg = "expected a direction that the first normal shall be near to, got zero"
        raise InputError(msg)
    points, tangent = path.points_mm, path.tangents
    normal = np.empty_like(points)
    normal[0] = _across(wanted, tangent[0])
    for n in range(len(points) - 1):
        step = points[n + 1] - points[n]
        length2 = step @ step
        mirrored = normal[n] - 2 / length2 * (step @ normal[n]) * step
        turned = tangent[n] - 2 / length2 * (step @ tangent[n]) * step
        back = tangent[n + 1] - turned
        size2 = back @ back
        reflected = mirrored - 2 / size2 * (back @ mirrored) * back if size2 > 0 else mirrored
        normal[n + 1] = _across(reflected, tangent[n + 1])
    return PathFrames(points, tangent, normal, np.cross(tangent, normal))


def _across(wanted: NDArray[np.float64], tangent: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit vector across `tangent` nearest to `wanted`."""
    for candidate in (wanted, np.array([1.0, 0, 0]), np.array([0, 0, 1.0])):
        part = candidate - (candidate @ tangent) * tangent
        size = np.linalg.norm(part)
        if size > 1e-3 * np.linalg.norm(candidate):
            break
    return np.asarray(part / size)


def straighten(
    image: Image,
    path: NervePath,
    *,
    half_width_mm: float,
    step_mm: float,
    frames: PathFrames | None = None,
) -> StraightImage:
    """Resample an image into planes across a path.

    Parameters
    ----------
    image : Image
        CT, PET or MR in the frame of the path.
    path : NervePath
        Centre line.
    half_width_mm : float
        How far the planes reach to each side.
    step_mm : float
        Spacing within the planes.
    frames : PathFrames, optional
        Axes to use; those of `frames_along` if None.

    Returns
    -------
    StraightImage
        Linear between voxels.

    Raises
    ------
    FrameMismatchError
        If image and path lie in different frames.
    InputError
        If a length is not above 0.
    """
    if image.grid.frame_uid != path.frame_uid:
        msg = (
            f"{path.name}: expected an image in frame {path.frame_uid}, got "
            f"{image.grid.frame_uid}; register the two and resample the image"
        )
        raise FrameMismatchError(msg)
    if not (half_width_mm > 0 and step_mm > 0):
        msg = f"expected lengths above 0 mm, got {half_width_mm} and {step_mm}"
        raise InputError(msg)
    axes = frames or frames_along(path)
    n = max(1, round(half_width_mm / step_mm))
    across = step_mm * np.arange(-n, n + 1, dtype=np.float64)
    points = (
        axes.origin_mm[:, None, None, :]
        + across[None, :, None, None] * axes.binormal[:, None, None, :]
        + across[None, None, :, None] * axes.normal[:, None, None, :]
    )
    values = map_coordinates(
        image.values,
        np.moveaxis(image.grid.indices(points), -1, 0),
        output=np.float32,
        order=1,
        mode="constant",
        cval=np.nan,
    )
    return StraightImage(np.asarray(values), path.arc_mm, across, axes)
