"""Register two CTs of one patient rigidly by their bones.

Every shift and a few tilts are tried on a coarse grid, the best few are refined, and the one that
agrees best is refined to a fraction of a millimetre. Deterministic: no random step but the choice
of points, which the seed fixes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rerad.core import Grid, Image, ImageUnit, Modality, RigidTransform
from rerad.errors import RegistrationError
from rerad.imaging import resample_image
from rerad.registration.bone import BoneImage, bone_image
from rerad.registration.coarse_search import search_starts
from rerad.registration.quality import RegistrationQuality, assess
from rerad.registration.refine import Level, Pose, cost_of, make_level, refine

Progress = Callable[[str, float], None]
"""Told what is done and which share of the work that is."""

FINE_MM = 2.0
"""Grid of the last level: finer than a slice, and a fifth of a million bone voxels."""

COARSE_MM = 8.0
"""Grid of the search: the pelvis in about a hundred thousand voxels."""

LEVELS = ((8.0, 8.0, 8000), (4.0, 3.0, 20000), (2.0, 1.5, 40000))
"""Grid in mm, smoothing in mm and number of points of each level of refinement."""

N_CANDIDATES = 4
"""Starts that are refined at the first level."""

MIN_BONE_OVERLAP = 0.1
"""Share of the fixed bone that the moving CT must show for any statement at all."""


@dataclass(frozen=True, eq=False, slots=True)
class RegistrationResult:
    """A rigid registration and how good it is.

    Parameters
    ----------
    transform : RigidTransform
        From the moving to the fixed frame.
    quality : RegistrationQuality
        Agreement of the bones; doses are added only if it is acceptable.
    """

    transform: RigidTransform
    quality: RegistrationQuality


def register_rigid(
    moving: Image, fixed: Image, *, seed: int, progress: Progress | None = None
) -> RegistrationResult:
    """Find the rigid transform that lays the bones of one CT on those of another.

    Parameters
    ----------
    moving : Image
        Earlier CT, in HU.
    fixed : Image
        Today's CT, in HU.
    seed : int
        Fixes the choice of points; the same images and seed give the same transform.
    progress : callable, optional
        Told the step and its share of the work, 0 to 1.

    Returns
    -------
    RegistrationResult
        Transform from the moving to the fixed frame with its quality. A poor registration is
        returned with ``quality.is_acceptable`` false and a serious finding.

    Raises
    ------
    InputError
        If an image is not a CT.
    RegistrationError
        If an image shows too little bone, or the two share almost none.
    """
    tell = progress or (lambda _step, _share: None)
    tell("finding bones", 0.0)
    here, there = bone_image(fixed, FINE_MM), bone_image(moving, FINE_MM)
    rng = np.random.default_rng(seed)
    tell("searching", 0.4)
    levels = [_level(here, there, spec, rng) for spec in LEVELS]
    pose = _best_start(here, there, levels[0])
    for step, level in enumerate(levels[1:]):
        tell("refining", 0.6 + 0.1 * step)
        pose = refine(pose, level)
    transform = _transform(pose, moving.grid.frame_uid, fixed.grid.frame_uid)
    tell("judging", 0.8)
    quality = assess(here, there, transform, rng)
    if quality.bone_overlap < MIN_BONE_OVERLAP:
        msg = (
            f"expected two CTs that share bone, got {100 * quality.bone_overlap:.0f} % of the "
            "fixed bone on the moving CT; check that both show the same part of the patient"
        )
        raise RegistrationError(msg)
    tell("registered", 1.0)
    return RegistrationResult(transform, quality)


def _coarser(image: BoneImage, spacing_mm: float) -> tuple[NDArray[np.float32], Grid]:
    """Return bone contrast on a coarser grid as block means."""
    if spacing_mm == image.grid.spacing_mm[0]:
        return image.density, image.grid
    whole = Image(image.density, image.grid, Modality.CT, ImageUnit.ARBITRARY)
    onto = image.grid.with_spacing((spacing_mm,) * 3)
    return np.asarray(resample_image(whole, onto, outside=0.0).values, dtype=np.float32), onto


def _level(
    here: BoneImage,
    there: BoneImage,
    spec: tuple[float, float, int],
    rng: np.random.Generator,
) -> Level:
    """Prepare one level of refinement."""
    spacing_mm, sigma_mm, n_points = spec
    contrast, grid = _coarser(here, spacing_mm)
    reach = max(1, round(4.0 / spacing_mm))
    region = ndimage.binary_dilation(contrast > 0.05, iterations=reach)
    return make_level(
        (contrast, region, grid),
        _coarser(there, spacing_mm),
        sigma_mm=sigma_mm,
        n_points=n_points,
        rng=rng,
    )


def _best_start(here: BoneImage, there: BoneImage, level: Level) -> Pose:
    """Search all shifts and a few tilts, refine the best few, return the best."""
    fixed, fixed_grid = _coarser(here, COARSE_MM)
    moving, moving_grid = _coarser(there, COARSE_MM)
    starts = search_starts(fixed, fixed_grid, moving, moving_grid)[:N_CANDIDATES]
    poses = [
        refine(Pose(start.rotation, start.center_mm, start.target_mm), level) for start in starts
    ]
    return min(poses, key=lambda pose: cost_of(pose, level))


def _transform(pose: Pose, from_frame_uid: str, to_frame_uid: str) -> RigidTransform:
    """Return the pose, which leads from fixed to moving, the other way round."""
    # Products of many small rotations drift; the nearest rotation keeps the matrix proper.
    u, _, vt = np.linalg.svd(pose.rotation)
    rotation = u @ vt
    matrix = np.eye(4)
    matrix[:3, :3] = rotation
    matrix[:3, 3] = pose.target_mm - rotation @ pose.center_mm
    return RigidTransform(matrix, to_frame_uid, from_frame_uid).inverse()
