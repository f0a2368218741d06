"""What is compared after a correction pass, against numbers known by hand."""

import numpy as np
import pytest

from rerad.core import Grid, Mask, StructureKind
from rerad.planning.agreement import agreement, dose_at_hottest
from rerad.planning.points import Points

GRID = Grid((1, 10, 10), (0.0, 0.0, 0.0), (2.0, 2.0, 2.5), "1.2.3")


def everywhere():
    n = GRID.n_voxels
    return Points(GRID, np.arange(n), np.ones(n), np.arange(n))


def mask(name, voxels):
    fraction = np.zeros(GRID.n_voxels, dtype=np.float32)
    fraction[voxels] = 1.0
    return Mask(name, StructureKind.OAR, fraction.reshape(GRID.shape), GRID)


def test_hottest_shares_are_of_the_volume():
    dose = np.array([10.0, 40.0, 20.0, 30.0])
    volume = np.array([1.0, 1.0, 1.0, 2.0])
    assert dose_at_hottest(dose, volume, [0.2, 0.5, 1.0]) == [40.0, 30.0, 10.0]


def test_the_number_that_differs_most_is_named():
    predicted = np.full(100, 40.0)
    final = predicted.copy()
    final[:50] += 0.5
    final[99] -= 8.0
    found = agreement(
        predicted,
        final,
        everywhere(),
        targets={"PTV": mask("PTV", slice(0, 50))},
        organs={"Rectum": mask("Rectum", slice(50, 90))},
    )
    assert found.largest_gy == pytest.approx(0.5)
    assert found.structure == "PTV"
    assert found.rms_gy == pytest.approx(0.5)


def test_organs_are_compared_by_near_maximum_and_mean():
    # A voxel has 0.01 cc, so D0.1cc is the tenth hottest.
    predicted = np.arange(100, dtype=float)
    final = predicted.copy()
    final[-20:] += 3.0
    found = agreement(
        predicted,
        final,
        everywhere(),
        targets={},
        organs={"CaudaEquina": mask("CaudaEquina", slice(0, 100))},
    )
    assert (found.structure, found.metric) == ("CaudaEquina", "D0.1cc")
    assert found.largest_gy == pytest.approx(3.0)
    assert found.rms_gy == 0.0
