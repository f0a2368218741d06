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

BONE_HU = 150.0
"""Surface of bone in the smoothed CT: above soft tissue, below cancellous bone with its shell."""

BONE_SMOOTHING_MM = 3.0
"""Standard deviation of the Gaussian before the threshold: two scans of one bone with other
slices, kernels and noise then give the same surface to about half a millimetre."""

CEILING_HU = 1200.0
"""Metal and streaks are cut here so that an implant does not rule the registration."""

MIN_BONE_CC = 50.0
"""A pelvis or three vertebrae have more than this above `BONE_HU`; less cannot fix six numbers."""

_AIR_HU = -1000.0
_CONTRAST_FLOOR_HU = 100.0
_SPECK_CC = 1.0
_BODY_SPACING_MM = 4.0


@dataclass(frozen=True, eq=False, slots=True)
class BoneImage:
    """A CT reduced to its bones on an isotropic grid.

    Parameters
    ----------
    hu : ndarray of shape (K, J, I)
        HU up to `CEILING_HU`, air outside the body.
    smooth_hu : ndarray of shape (K, J, I)
        The same without air, smoothed by `BONE_SMOOTHING_MM`.
    bone : ndarray of shape (K, J, I)
        Whether a voxel of `smooth_hu` is bone.
    grid : Grid
        Cropped to the body, in the frame of the CT.
    """

    hu: NDArray[np.float32]
    smooth_hu: NDArray[np.float32]
    bone: NDArray[np.bool_]
    grid: Grid

    @property
    def density(self) -> NDArray[np.float32]:
        """Bone contrast: 0 in soft tissue and air, 1 at the ceiling."""
        low = _CONTRAST_FLOOR_HU
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
        msg = (
            f"registration by bones expects a CT, got {image.modality} {name}; give a DICOM "
            "registration (REG) that was made for the two"
        )
        raise InputError(msg)
    body, coarse = find_body(image)
    if not body.any():
        msg = f"registration by bones: {name} shows no body above {BODY_HU:g} HU"
        raise RegistrationError(msg)
    near = _cropped(image, _box_around(body, coarse, image.grid))
    part = near.grid.with_spacing((spacing_mm,) * 3)
    # Edge voxels of the new box may lie half an old voxel outside: they are air then.
    hu = resample_image(near, part, outside=_AIR_HU).values
    inside = on_grid(body, coarse, part)
    hu = np.where(inside, hu, np.float32(_AIR_HU)).astype(np.float32)
    smooth = _smoothed(hu, spacing_mm)
    bone = _without_specks(smooth > BONE_HU, part)
    if np.count_nonzero(bone) * part.voxel_volume_cc < MIN_BONE_CC:
        msg = (
            f"registration by bones expects at least {MIN_BONE_CC:g} cc above {BONE_HU:g} HU, got "
            f"{np.count_nonzero(bone) * part.voxel_volume_cc:.0f} cc in {name}; is it a CT in HU "
            "of the region that was treated?"
        )
        raise RegistrationError(msg)
    return BoneImage(hu, smooth, bone, part)


def _cropped(image: Image, box: tuple[tuple[int, int, int], tuple[int, int, int]]) -> Image:
    """Return a box of the image with HU cut at the ceiling."""
    region = tuple(slice(a, b) for a, b in zip(*box, strict=True))
    values = np.minimum(image.values[region], image.values.dtype.type(CEILING_HU))
    return Image(values, image.grid.crop(*box), image.modality, image.unit)


def on_grid(mask: NDArray[np.bool_], grid: Grid, onto: Grid) -> NDArray[np.bool_]:
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


def find_body(image: Image) -> tuple[NDArray[np.bool_], Grid]:
    """Return the body on a grid of every few voxels.

    It is the largest thing left when thin shells (couch, mask) are opened away.
    """
    spacing = np.array(image.grid.spacing_mm)
    step = np.maximum(1, np.rint(_BODY_SPACING_MM / spacing)).astype(int)
    hu = image.values[:: step[2], :: step[1], :: step[0]]
    sx, sy, sz = (float(v) for v in spacing * step)
    grid = Grid(hu.shape, image.grid.origin_mm, (sx, sy, sz), image.grid.frame_uid)
    tissue = hu > BODY_HU
    core = _largest(ndimage.binary_opening(tissue, iterations=2))
    body = ndimage.binary_dilation(core, iterations=3, mask=tissue)
    for plane in body:
        plane[:] = ndimage.binary_fill_holes(plane)
    return np.asarray(body), grid


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


def _smoothed(hu: NDArray[np.float32], spacing_mm: float) -> NDArray[np.float32]:
    """Return HU without air, smoothed: gas and skin must not wear the bones beside them down."""
    smooth = ndimage.gaussian_filter(np.maximum(hu, 0.0), BONE_SMOOTHING_MM / spacing_mm)
    return np.asarray(smooth, dtype=np.float32)


def _without_specks(bone: NDArray[np.bool_], grid: Grid) -> NDArray[np.bool_]:
    """Return bone without calcifications and other small parts."""
    labels, n = ndimage.label(bone)
    if n == 0:
        return bone
    keep = np.bincount(labels.ravel()) * grid.voxel_volume_cc >= _SPECK_CC
    keep[0] = False
    return np.asarray(keep[labels])
