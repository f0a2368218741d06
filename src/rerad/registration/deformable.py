"""Register two CTs of one patient deformably, on top of a rigid registration.

Diffeomorphic demons (SimpleITK) on the clipped CTs, coarse to fine, on one thread: the same images
give the same field bit by bit. Structures drawn on both CTs may guide it: they are painted into
both images as one more contrast, so that a bladder follows its contour although its content looks
alike. The result is judged (folding, Jacobian, inverse consistency, bones, guides) and is only as
good as those numbers: where nothing is seen on CT, nothing is found.

References
----------
.. [1] Vercauteren et al. (2009), NeuroImage 45, S61-S72, doi:10.1016/j.neuroimage.2008.10.040.
.. [2] Brock et al. (2017), AAPM TG-132, doi:10.1002/mp.12256.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import SimpleITK
from numpy.typing import NDArray

from rerad.core import DisplacementField, Grid, Image, Mask, Modality, RigidTransform
from rerad.errors import InputError
from rerad.imaging import AIR_HU, resample_image
from rerad.registration.bone import find_body, on_grid

sitk: Any = SimpleITK  # it has no types of its own

HU_RANGE = (-250.0, 400.0)
"""Soft tissue with the surface of bone; the couch, gas and metal beyond it pull at nothing."""

HU_PER_GUIDE = 300.0
"""Contrast that a guiding structure is painted with: as much as bone against muscle."""


@dataclass(frozen=True, slots=True)
class DeformableSettings:
    """How the field is looked for.

    Parameters
    ----------
    grid_mm : float
        Voxels of the finest level, and of the field.
    shrink_factors : tuple of int
        Of the levels, coarsest first.
    n_iterations : tuple of int
        Of each level.
    smoothing_mm : float
        Standard deviation with which the field is smoothed after every step.
    """

    grid_mm: float = 3.0
    shrink_factors: tuple[int, ...] = (4, 2, 1)
    n_iterations: tuple[int, ...] = (60, 40, 20)
    smoothing_mm: float = 4.5

    def __post_init__(self) -> None:
        is_right = (
            0.5 <= self.grid_mm <= 10
            and self.smoothing_mm > 0
            and len(self.shrink_factors) == len(self.n_iterations) > 0
            and all(n >= 1 for n in (*self.shrink_factors, *self.n_iterations))
        )
        if not is_right:
            msg = (
                "expected a grid of 0.5 to 10 mm, smoothing above 0 mm and one number of "
                f"iterations for each level, got {self}"
            )
            raise InputError(msg)


def register_deformable(
    moving: Image,
    fixed: Image,
    rigid: RigidTransform,
    *,
    guides: Sequence[tuple[Mask, Mask]] = (),
    settings: DeformableSettings | None = None,
) -> DisplacementField:
    """Find the displacements that lay one CT on another after a rigid registration.

    Parameters
    ----------
    moving, fixed : Image
        Earlier and today's CT, in HU.
    rigid : RigidTransform
        From the moving to the fixed frame; near enough that organs overlap.
    guides : sequence of (Mask, Mask)
        The same structure on the moving and on the fixed CT, each on a grid of its frame.
    settings : DeformableSettings or None
        Levels; None for the usual ones.

    Returns
    -------
    DisplacementField
        In the fixed frame, over the box of the fixed CT.

    Raises
    ------
    InputError
        If an image is not a CT or the transform does not lead between the two.
    """
    chosen = settings or DeformableSettings()
    for image in (moving, fixed):
        if image.modality is not Modality.CT:
            msg = (
                f"deformable registration expects CTs, got {image.modality}; give a DICOM "
                "registration (REG) that was made for the two"
            )
            raise InputError(msg)
    grid = fixed.grid.with_spacing((chosen.grid_mm,) * 3)
    here = _contrast(fixed, grid, None, [mask for _, mask in guides])
    there = _contrast(moving, grid, rigid, [mask for mask, _ in guides])
    field: Any = None
    levels = zip(chosen.shrink_factors, chosen.n_iterations, strict=True)
    for factor, n_iterations in levels:
        spacing = chosen.grid_mm * factor
        level = grid.with_spacing((spacing,) * 3)
        a, b = (_as_itk(_shrunk(image, factor), level, grid) for image in (here, there))
        field = _demons(a, b, field, n_iterations, chosen.smoothing_mm / spacing)
    if field is None:  # excluded by DeformableSettings
        raise AssertionError(chosen)
    full = sitk.Resample(field, _as_itk(here, grid, grid), sitk.Transform(), sitk.sitkLinear)
    vectors = sitk.GetArrayFromImage(full).astype(np.float32)
    return DisplacementField(vectors, grid, rigid)


def _contrast(
    image: Image, grid: Grid, transform: RigidTransform | None, guides: Sequence[Mask]
) -> NDArray[np.float32]:
    """Return the CT on the common grid, clipped, guides painted in."""
    values = resample_image(_alone(image), grid, transform, outside=AIR_HU).values
    made = np.clip(values, *HU_RANGE).astype(np.float32)
    for mask in guides:
        painted = Image(mask.fraction, mask.grid, image.modality, image.unit)
        inside = resample_image(painted, grid, transform, outside=0.0).values
        made += np.float32(HU_PER_GUIDE) * np.asarray(inside, dtype=np.float32)
    return made


def _alone(image: Image) -> Image:
    """Return the CT without the couch, which lies otherwise at every visit."""
    body, coarse = find_body(image)
    if not body.any():
        return image
    inside = on_grid(body, coarse, image.grid)
    air = image.values.dtype.type(AIR_HU)
    return replace(image, values=np.where(inside, image.values, air))


def _shrunk(values: NDArray[np.float32], factor: int) -> NDArray[np.float32]:
    """Return values smoothed for a coarser level (the level's own grid samples them)."""
    if factor == 1:
        return values
    smoothed = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(values), [0.5 * factor] * 3)
    return np.asarray(sitk.GetArrayFromImage(smoothed), dtype=np.float32)


def _as_itk(values: NDArray[np.float32], level: Grid, grid: Grid) -> Any:
    """Return values of `grid` sampled on the voxels of `level` as an ITK image."""
    image = sitk.GetImageFromArray(values)
    image.SetOrigin(grid.origin_mm)
    image.SetSpacing(grid.spacing_mm)
    if level.has_same_voxels(grid):
        return image
    method = sitk.ResampleImageFilter()
    method.SetNumberOfThreads(1)
    method.SetSize(level.shape[::-1])
    method.SetOutputOrigin(level.origin_mm)
    method.SetOutputSpacing(level.spacing_mm)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetDefaultPixelValue(float(values.min()))
    return method.Execute(image)


def _demons(
    fixed: Any,
    moving: Any,
    start: Any,
    n_iterations: int,
    smoothing_voxels: float,
) -> Any:
    """Return the field of one level."""
    method = sitk.DiffeomorphicDemonsRegistrationFilter()
    method.SetNumberOfThreads(1)
    method.SetNumberOfIterations(n_iterations)
    method.SetSmoothDisplacementField(True)
    method.SetStandardDeviations(max(smoothing_voxels, 0.8))
    method.SetMaximumUpdateStepLength(2.0)
    if start is None:
        return method.Execute(fixed, moving)
    resampler = sitk.ResampleImageFilter()
    resampler.SetNumberOfThreads(1)
    resampler.SetReferenceImage(fixed)
    resampler.SetInterpolator(sitk.sitkLinear)
    return method.Execute(fixed, moving, resampler.Execute(start))
