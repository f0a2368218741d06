"""How well two bone images agree after registration, against stated thresholds.

References
----------
.. [1] Brock et al. (2017), AAPM TG-132, Med. Phys. 44, e43-e76, doi:10.1002/mp.12256.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from rerad.core import Finding, Grid, RigidTransform, Severity
from rerad.imaging import index_map
from rerad.kernels.warp import pull_affine
from rerad.registration.bone import BONE_HU, BoneImage
from rerad.tables import load_table, source_of

MAX_SURFACE_POINTS = 20000
"""Surface points compared each way: enough that the mean settles to a hundredth of a mm."""


@dataclass(frozen=True, slots=True)
class RegistrationQuality:
    """Agreement of the bones of two CTs after a rigid registration.

    Parameters
    ----------
    bone_dice : float
        Dice coefficient of bone in the region that both CTs show, 0 to 1.
    mean_surface_mm : float
        Mean distance of the two bone surfaces, both ways.
    surface_95_mm : float
        95th percentile of that distance.
    metric : float
        Correlation coefficient of bone contrast in and around the fixed bones, -1 to 1.
    bone_overlap : float
        Share of the fixed CT's bone that the moving CT shows, 0 to 1.
    max_mean_surface_mm, min_bone_dice : float
        Thresholds of acceptance.
    citation : str
        Where the thresholds come from.
    findings : tuple of Finding
        What the reader must weigh.
    """

    bone_dice: float
    mean_surface_mm: float
    surface_95_mm: float
    metric: float
    bone_overlap: float
    max_mean_surface_mm: float
    min_bone_dice: float
    citation: str
    findings: tuple[Finding, ...]

    @property
    def is_acceptable(self) -> bool:
        """Whether doses may be added on this registration."""
        return (
            self.mean_surface_mm <= self.max_mean_surface_mm
            and self.bone_dice >= self.min_bone_dice
        )


@dataclass(frozen=True, eq=False, slots=True)
class _Surface:
    """Points on a bone surface with unit normals, in mm."""

    points_mm: NDArray[np.float64]
    normals: NDArray[np.float64]

    def moved(self, transform: RigidTransform) -> "_Surface":
        """Return the surface in another frame."""
        rotation = transform.matrix[:3, :3]
        return _Surface(transform.apply(self.points_mm), self.normals @ rotation.T)

    def within(self, grid: Grid, transform: RigidTransform) -> "_Surface":
        """Return the part that `grid` shows, at least two voxels from its edge."""
        index = grid.indices(transform.apply(self.points_mm))
        keep = np.all((index >= 2) & (index <= np.array(grid.shape) - 3), axis=-1)
        return _Surface(self.points_mm[keep], self.normals[keep])


def _surface(image: BoneImage, rng: np.random.Generator) -> _Surface:
    """Return where the bone mask changes, placed between voxels by the HU threshold."""
    found = []
    for axis in range(3):
        low = np.take(image.bone, range(image.bone.shape[axis] - 1), axis)
        high = np.take(image.bone, range(1, image.bone.shape[axis]), axis)
        index = np.argwhere(low != high)
        other = index.copy()
        other[:, axis] += 1
        a, b = image.smooth_hu[tuple(index.T)], image.smooth_hu[tuple(other.T)]
        crosses = (a > BONE_HU) != (b > BONE_HU)
        gap = np.where(crosses, b - a, 1.0)
        share = np.where(crosses, (BONE_HU - a) / gap, 0.5)
        place = index.astype(np.float64)
        place[:, axis] += share
        found.append(place)
    kji = np.concatenate(found)
    if len(kji) > MAX_SURFACE_POINTS:
        kji = kji[np.sort(rng.choice(len(kji), MAX_SURFACE_POINTS, replace=False))]
    slopes = np.gradient(image.smooth_hu)
    normal = np.stack(
        [ndimage.map_coordinates(slopes[axis], kji.T, order=1) for axis in (2, 1, 0)], axis=-1
    )
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.where(length > 0, length, 1.0)
    return _Surface(image.grid.points(kji), normal.astype(np.float64))


def _distances_mm(of: _Surface, to: _Surface, spacing_mm: float) -> NDArray[np.float64]:
    """Return distances of points to a sampled surface.

    Along the normal of the nearest point, because sideways neighbours are only sampling; a point
    with no surface near is as far away as the nearest point says.
    """
    straight, nearest = cKDTree(to.points_mm).query(of.points_mm)
    offset = of.points_mm - to.points_mm[nearest]
    along = np.abs(np.sum(offset * to.normals[nearest], axis=1))
    return np.asarray(np.maximum(along, straight - spacing_mm))


def assess(
    fixed: BoneImage,
    moving: BoneImage,
    transform: RigidTransform,
    rng: np.random.Generator,
) -> RegistrationQuality:
    """Measure how well two bone images agree.

    Parameters
    ----------
    fixed, moving : BoneImage
        On grids of the same spacing.
    transform : RigidTransform
        From the moving to the fixed frame.
    rng : Generator
        Chooses the surface points.
    """
    matrix = index_map(moving.grid, fixed.grid, transform)
    warped = pull_affine(moving.density, matrix, fixed.grid.shape, (1, 1, 1), np.nan)
    seen = ~np.isnan(warped)
    bone = moving.bone.astype(np.float32)
    mapped = pull_affine(bone, matrix, fixed.grid.shape, (1, 1, 1), 0.0) > 0.5
    both = np.count_nonzero(mapped & fixed.bone)
    either = np.count_nonzero(mapped) + np.count_nonzero(fixed.bone & seen)
    region = ndimage.binary_dilation(fixed.bone | mapped, iterations=2) & seen
    pair = fixed.density[region], warped[region]
    metric = float(np.corrcoef(*pair)[0, 1]) if region.sum() > 2 else -1.0
    there = _surface(moving, rng)
    here = _surface(fixed, rng)
    there = there.within(fixed.grid, transform).moved(transform)
    here = here.within(moving.grid, transform.inverse())
    spacing_mm = fixed.grid.spacing_mm[0]
    distances = np.full(1, np.inf)
    if len(here.points_mm) and len(there.points_mm):
        distances = np.concatenate(
            [_distances_mm(here, there, spacing_mm), _distances_mm(there, here, spacing_mm)]
        )
    return _judged(
        bone_dice=2.0 * int(both) / max(int(either), 1),
        mean_surface_mm=float(np.mean(distances)),
        surface_95_mm=float(np.percentile(distances, 95)),
        metric=metric,
        bone_overlap=int(np.count_nonzero(fixed.bone & seen)) / int(np.count_nonzero(fixed.bone)),
    )


def _judged(
    *,
    bone_dice: float,
    mean_surface_mm: float,
    surface_95_mm: float,
    metric: float,
    bone_overlap: float,
) -> RegistrationQuality:
    """Compare the numbers with the table's thresholds."""
    table = load_table("registration")
    accept, caution = table["acceptance"], table["caution"]
    source = source_of(accept, "registration acceptance").text
    worst_mm, least_dice = float(accept["max_mean_surface_mm"]), float(accept["min_bone_dice"])
    findings = []
    if mean_surface_mm > worst_mm or bone_dice < least_dice:
        text = (
            f"Bones agree to {mean_surface_mm:.1f} mm on average with Dice {bone_dice:.2f}; "
            f"doses may be added at {worst_mm:g} mm or less and Dice {least_dice:g} or more "
            f"({source})."
        )
        findings.append(Finding(Severity.SERIOUS, "registration-not-acceptable", text))
    elif surface_95_mm > float(caution["max_surface_95_mm"]):
        text = (
            f"One twentieth of the bone surface lies more than {surface_95_mm:.1f} mm apart "
            f"(mean {mean_surface_mm:.1f} mm): some bones have moved against each other; look "
            "where before using the mapped dose there."
        )
        findings.append(Finding(Severity.CAUTION, "registration-bones-moved", text))
    if bone_overlap < float(caution["min_bone_overlap"]):
        text = (
            f"Only {100 * bone_overlap:.0f} % of the bone on today's CT is on the earlier one; "
            "the registration rests on that part."
        )
        findings.append(Finding(Severity.CAUTION, "registration-small-overlap", text))
    return RegistrationQuality(
        bone_dice=bone_dice,
        mean_surface_mm=mean_surface_mm,
        surface_95_mm=surface_95_mm,
        metric=metric,
        bone_overlap=bone_overlap,
        max_mean_surface_mm=worst_mm,
        min_bone_dice=least_dice,
        citation=source,
        findings=tuple(findings),
    )
