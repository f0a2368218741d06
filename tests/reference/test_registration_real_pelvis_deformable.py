"""Deformable registration of a real pelvis with a known smooth warp, and the ensemble's coverage.

Asked: median error at most 2 mm in the body, no folding; the ensemble holds the true dose in at
least 90 % of voxels at its level of 90 %.
"""

import nibabel as nib
import numba
import numpy as np
import pytest
from scipy import ndimage

from rerad.accumulation import map_dose, proposed_strategy_settings, sample_transforms
from rerad.accumulation.ensemble import ensemble_interval
from rerad.core import (
    DisplacementField,
    Dose,
    Grid,
    Image,
    ImageUnit,
    Mask,
    Modality,
    RigidTransform,
    StructureKind,
)
from rerad.registration import assess_deformable, register_deformable

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        bool(numba.config.DISABLE_JIT), reason="millions of voxels: kernels must be compiled"
    ),
]

RIGID = RigidTransform(np.eye(4), "earlier", "today")
LARGEST_MM = 15.0
SMOOTH_MM = 40.0


@pytest.fixture(scope="module")
def scene(shared_data):
    """Real CT today; the same warped by a known smooth field, with noise, as the earlier one."""
    volume = nib.load(shared_data / "pelvis_ct" / "ct.nii.gz")
    ras = np.asarray(volume.dataobj)
    affine = volume.affine
    last = affine @ (ras.shape[0] - 1, ras.shape[1] - 1, 0, 1)
    spacing = tuple(np.abs(np.diag(affine))[:3])
    today = Grid(ras.shape[::-1], (-last[0], -last[1], last[2]), spacing, "today")
    earlier = Grid(today.shape, today.origin_mm, today.spacing_mm, "earlier")
    hu = ras[::-1, ::-1, :].transpose(2, 1, 0).astype(np.float32)
    rng = np.random.default_rng(3)
    sigma = [SMOOTH_MM / s for s in spacing[::-1]]
    there = np.stack(
        [ndimage.gaussian_filter(rng.normal(size=today.shape), sigma) for _ in range(3)], axis=-1
    )
    there *= LARGEST_MM / np.linalg.norm(there, axis=-1).max()
    index = np.indices(today.shape).astype(np.float64)
    warped = ndimage.map_coordinates(hu, _moved(index, there, spacing), order=1, mode="nearest")
    warped = (warped + rng.normal(0, 20, warped.shape)).astype(np.float32)
    # The earlier point q shows what lies today at q + v(q): u(p) = -v(p + u(p)), by iteration.
    u = -there
    for _ in range(15):
        place = _moved(index, u, spacing)
        u = -np.stack(
            [
                ndimage.map_coordinates(there[..., c], place, order=1, mode="nearest")
                for c in range(3)
            ],
            axis=-1,
        )
    truth = DisplacementField(u.astype(np.float32), today, RIGID)
    body = ndimage.binary_opening(hu > -300, iterations=2)
    body = ndimage.binary_erosion(body, iterations=3).astype(np.float32)
    region = Mask("Body", StructureKind.EXTERNAL, body, today)
    fixed = Image(hu, today, Modality.CT, ImageUnit.HU)
    moving = Image(warped, earlier, Modality.CT, ImageUnit.HU)
    return fixed, moving, truth, region


def _moved(index, vectors, spacing):
    """Return indices displaced by vectors in mm."""
    return [index[n] + vectors[..., 2 - n] / spacing[2 - n] for n in range(3)]


@pytest.fixture(scope="module")
def field(scene):
    fixed, moving, _, _ = scene
    return register_deformable(moving, fixed, RIGID)


def error_mm(field, truth, region):
    points = region.grid.points(np.argwhere(region.fraction > 0.5)[::23])

    def at(one):
        index = one.grid.indices(points).T
        parts = [ndimage.map_coordinates(one.vectors_mm[..., c], index, order=1) for c in range(3)]
        return np.stack(parts, axis=-1)

    return np.linalg.norm(at(field) - at(truth), axis=1), np.linalg.norm(at(truth), axis=1)


def test_a_known_warp_is_found_without_folding(scene, field):
    _, _, truth, region = scene
    error, moved = error_mm(field, truth, region)
    assert np.median(moved) > 3.0
    assert np.median(error) <= 2.0
    # Measured: median 0.6 mm, 95 % below 2.5 mm.
    assert np.median(error) < 1.0
    assert np.quantile(error, 0.95) < 4.0
    quality = assess_deformable(field, region)
    assert quality.n_folded == 0
    assert 0.3 < quality.jacobian_min < quality.jacobian_max < 3.0


def test_the_ensemble_holds_the_true_dose(scene, field):
    """A steep earlier dose mapped through the truth lies in the interval of the drawn fields."""
    _, moving, truth, region = scene
    grid = moving.grid
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    middle = [np.mean(axis) for axis in grid.axes_mm]
    distance = np.sqrt((x - middle[0]) ** 2 + (y - middle[1]) ** 2 + (z - middle[2]) ** 2)
    dose = Dose((60.0 / (1.0 + np.exp((distance - 60.0) / 8.0))).astype(np.float32), grid)
    settings = proposed_strategy_settings(seed=5)
    centre = tuple(int(n) // 2 for n in region.grid.shape)
    start = tuple(n - 24 for n in centre)
    onto = region.grid.crop(start, tuple(n + 24 for n in centre))
    drawn = sample_transforms(
        field,
        settings.spread,
        center_mm=tuple(float(v) for v in middle),
        n=settings.n_draws,
        rng=np.random.default_rng(5),
    )
    members = [map_dose(dose, one, onto) for one in drawn]
    low, high = ensemble_interval(members, level=settings.level)
    true = map_dose(dose, truth, onto).values
    inside = region.fraction[region.grid.region_of(onto)] > 0.5
    inside &= np.isfinite(true) & (true > 1.0)
    held = (true >= low.values - 1e-3) & (true <= high.values + 1e-3)
    assert inside.sum() > 20_000
    assert held[inside].mean() >= 0.90
