"""Bring an image onto another grid, in its own frame or through a rigid transform."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Grid, Image, RigidTransform
from rerad.errors import FrameMismatchError, InputError
from rerad.kernels.warp import EDGE_TOLERANCE, pull_affine

TO_FACES = 0.5 + EDGE_TOLERANCE
"""A voxel stands for its volume: beyond the outermost centre it holds to the outer face."""


def index_map(source: Grid, onto: Grid, transform: RigidTransform | None) -> NDArray[np.float64]:
    """Return the affine map from voxel indices of `onto` to those of `source`.

    Parameters
    ----------
    source, onto : Grid
        Where the values are, and where they are wanted.
    transform : RigidTransform or None
        From the frame of `source` to the frame of `onto`; None if they share one frame.

    Returns
    -------
    ndarray of shape (3, 4)
        ``source_kji = matrix[:, :3] @ onto_kji + matrix[:, 3]``.

    Raises
    ------
    FrameMismatchError
        If the frames differ and the transform does not lead from one to the other.
    """
    if transform is None:
        source.require_same_frame(onto, "resampling")
        to_source = np.eye(4)
    else:
        ends = (transform.from_frame_uid, transform.to_frame_uid)
        if ends != (source.frame_uid, onto.frame_uid):
            msg = (
                f"expected a transform from frame {source.frame_uid} to {onto.frame_uid}, got "
                f"one from {ends[0]} to {ends[1]}; register the two images or invert it"
            )
            raise FrameMismatchError(msg)
        to_source = transform.inverse().matrix
    ijk = np.linalg.inv(source.affine) @ to_source @ onto.affine
    reverse = [2, 1, 0]
    matrix = np.empty((3, 4))
    matrix[:, :3] = ijk[:3, :3][reverse][:, reverse]
    matrix[:, 3] = ijk[:3, 3][reverse]
    return matrix


def _samples_per_voxel(matrix: NDArray[np.float64]) -> tuple[int, int, int]:
    """Return how many samples a target voxel needs along k, j, i to see every source voxel."""
    # A step along one target axis crosses this many source voxels (largest component).
    steps = np.max(np.abs(matrix[:, :3]), axis=0)
    n_k, n_j, n_i = (max(1, int(np.ceil(step - 1e-3))) for step in steps)
    return n_k, n_j, n_i


def resample_image(
    image: Image,
    onto: Grid,
    transform: RigidTransform | None = None,
    *,
    outside: float,
    reach: float = EDGE_TOLERANCE,
) -> Image:
    """Resample an image onto a grid by trilinear interpolation.

    Where the new voxels are larger than the old, each new voxel is the mean of evenly spread
    samples, so that fine structure is averaged and not skipped.

    Parameters
    ----------
    image : Image
        Image to resample.
    onto : Grid
        Wanted voxels.
    transform : RigidTransform or None
        From the image's frame to the frame of `onto`; None if they share one frame.
    outside : float
        Value of voxels whose centre lies outside the image, in its unit (air is about -1000 HU).
    reach : float
        Share of a voxel by which the image reaches beyond its outermost centres; `TO_FACES` takes
        it to the outer faces.

    Returns
    -------
    Image
        Same modality and unit; CT stored as int16 is rounded to whole HU.

    Raises
    ------
    FrameMismatchError
        If the frames differ and the transform does not lead from one to the other.
    InputError
        If `outside` cannot be stored in whole numbers of an int16 image.
    """
    is_whole = image.values.dtype == np.int16
    if is_whole and not -32768 <= outside <= 32767:
        msg = f"expected a value from -32768 to 32767 outside an int16 image, got {outside}"
        raise InputError(msg)
    matrix = index_map(image.grid, onto, transform)
    n_samples = _samples_per_voxel(matrix)
    values = pull_affine(image.values, matrix, onto.shape, n_samples, outside, reach)
    kept = np.rint(values).astype(np.int16) if is_whole else values
    return replace(image, values=kept, grid=onto, series_uid="", instance_uids=())
