"""Find body and bone in a CT: what a rigid registration of two visits should hold on to.

Works on a grid of a few millimetres, cropped to the body, with the couch left out. HU and mm.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rerad.core import Grid, Image, Modality
from rerad.errors import InputError, RegistrationError
from rerad.imaging import resample_image

BODY_HU = -300.0
"""Between air and skin: halfway from -1000 to about +40 HU would be -480; -300 keeps foam and
clothing out."""

BONE_HU = 200.0
"""Cortical bone begins here; soft tissue with contrast mostly stays below."""

CEILING_HU = 1200.0
"""Metal and streaks are cut here so that an implant does not rule the registration."""

MIN_BONE_CC = 50.0
"""A pelvis or three vertebrae have more than this above `BONE_HU`; less cannot fix six numbers."""

_AIR_HU = -1000.0
_SPECK_CC = 0.3
_BODY_SPACING_MM = 4.0


@dataclass(frozen=True, eq=False, slots=True)
class BoneImage:
    """A CT reduced to its bones on an isotropic grid.

    Parameters
    ----------
    hu : ndarray of shape (K, J, I)
        HU up to `CEILING_HU`, air outside the body.
    bone : ndarray of shape (K, J, I)
        Whether a voxel is bone or marrow enclosed by it.
    grid : Grid
        Cropped to the body, in the frame of the CT.
    """

    hu: NDArray[np.float32]
    bone: NDArray[np.bool_]
    grid: Grid

    @property
    def density(self) -> NDArray[np.float32]:
        """Bone contrast: 0 in soft tissue and air, 1 at the ceiling."""
        low = 0.5 * BONE_HU
        scaled = (np.clip(self.hu, low, CEILING_HU) - low) / (CEILING_HU - low)
        return np.asarray(scaled, dtype=np.float32)


def bone_image(image: Image, spacing_mm: float) -> BoneImage:
    """Reduce a CT to its bones.

    Parameters
    ----------
    image : Image
        CT in HU.
    spacing_mm : float
        Isotropic spacing of the result.

    Raises
    ------
    InputError
        If the image is not a CT.
    RegistrationError
        If it shows no body or too little bone.
    """
    name = image.description or image.series_uid or "image"
    if image.modality is not Modality.CT:
        msg = f"registration by bones expects a CT, got {image.modality} {name}"
        raise InputError(msg)
    ceiling = np.array(CEILING_HU, dtype=image.values.dtype)
    cut = Image(np.minimum(image.values, ceiling), image.grid, image.modality, image.unit)
    grid = image.grid.with_spacing((spacing_mm,) * 3)
    # The new box may end up to half a voxel outside the old one; edge voxels are then air.
    full = resample_image(cut, grid, outside=_AIR_HU).values.astype(np.float32)
    coarse = grid.with_spacing((_BODY_SPACING_MM,) * 3)
    coarse_hu = resample_image(
        Image(full, grid, image.modality, image.unit), coarse, outside=_AIR_HU
    ).values
    body = _body(np.asarray(coarse_hu))
    if not body.any():
        msg = f"registration by bones: {name} shows no body above {BODY_HU:g} HU"
        raise RegistrationError(msg)
    box = _box_around(body, coarse, grid)
    part = grid.crop(*box)
    region = tuple(slice(a, b) for a, b in zip(*box, strict=True))
    inside = resample_mask(body, coarse, part)
    hu = np.where(inside, full[region], np.float32(_AIR_HU))
    bone = _solid_bone(hu, part)
    if np.count_nonzero(bone) * part.voxel_volume_cc < MIN_BONE_CC:
        msg = (
            f"registration by bones expects at least {MIN_BONE_CC:g} cc above {BONE_HU:g} HU, got "
            f"{np.count_nonzero(bone) * part.voxel_volume_cc:.0f} cc in {name}; is it a CT in HU "
            "of the region that was treated?"
        )
        raise RegistrationError(msg)
    return BoneImage(hu, bone, part)


def resample_mask(mask: NDArray[np.bool_], grid: Grid, onto: Grid) -> NDArray[np.bool_]:
    """Return a mask on another grid of the same frame, by its nearest voxel."""
    picks = []
    for axis, coordinates in enumerate(reversed(onto.axes_mm)):
        origin, spacing = grid.origin_mm[2 - axis], grid.spacing_mm[2 - axis]
        index = np.rint((coordinates - origin) / spacing).astype(int)
        picks.append(np.clip(index, 0, mask.shape[axis] - 1))
    return np.asarray(mask[np.ix_(*picks)])


def _largest(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected part."""
    labels, n = ndimage.label(mask)
    if n == 0:
        return mask
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return np.asarray(labels == np.argmax(sizes))


def _body(hu: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the body: the largest thing left when thin shells (couch, mask) are opened away."""
    tissue = hu > BODY_HU
    core = _largest(ndimage.binary_opening(tissue, iterations=2))
    body = ndimage.binary_dilation(core, iterations=3, mask=tissue)
    for plane in body:
        plane[:] = ndimage.binary_fill_holes(plane)
    return np.asarray(body)


def _box_around(
    mask: NDArray[np.bool_], grid: Grid, onto: Grid
) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return first and past-the-last index on `onto` of a box around a mask."""
    index = np.argwhere(mask)
    corners = grid.points(np.stack([index.min(axis=0) - 0.5, index.max(axis=0) + 0.5]))
    start = np.maximum(np.floor(onto.indices(corners[0])).astype(int), 0)
    stop = np.minimum(np.ceil(onto.indices(corners[1])).astype(int) + 1, onto.shape)
    k0, j0, i0 = (int(v) for v in start)
    k1, j1, i1 = (int(v) for v in stop)
    return (k0, j0, i0), (k1, j1, i1)


def _solid_bone(hu: NDArray[np.float32], grid: Grid) -> NDArray[np.bool_]:
    """Return bone with its marrow: thresholded, specks dropped, closed, filled slice by slice."""
    bone = hu > BONE_HU
    labels, n = ndimage.label(bone)
    if n:
        keep = np.bincount(labels.ravel()) * grid.voxel_volume_cc >= _SPECK_CC
        keep[0] = False
        bone = keep[labels]
    bone = ndimage.binary_closing(bone, iterations=2)
    for plane in bone:
        plane[:] = ndimage.binary_fill_holes(plane)
    return np.asarray(bone)
