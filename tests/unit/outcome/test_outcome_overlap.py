"""Type of re-irradiation from the doses, not from the names of sites."""

import numpy as np
import pytest

from rerad.core import Dose, DoseQuantity, Grid
from rerad.errors import GridMismatchError, InputError, QuantityMismatchError
from rerad.outcome import DoseOverlap, ReirradiationType, dose_overlap, reirradiation_type

GRID = Grid((4, 5, 10), (0.0, 0.0, 0.0), (2.0, 2.0, 2.5), "1.2.3")
VOXEL_CC = 2.0 * 2.0 * 2.5 / 1000


def dose(columns: slice, gy: float, unknown: slice = slice(0, 0)) -> Dose:
    values = np.zeros(GRID.shape)
    values[:, :, columns] = gy
    values[:, :, unknown] = np.nan
    return Dose(values, GRID)


def overlap(first: Dose, second: Dose) -> DoseOverlap:
    return dose_overlap(first, second, first_isodose_gy=20.0, second_isodose_gy=10.0)


def test_the_shared_volume_is_counted() -> None:
    found = overlap(dose(slice(0, 6), 45), dose(slice(4, 9), 27))
    assert found.first_cc == pytest.approx(4 * 5 * 6 * VOXEL_CC)
    assert found.second_cc == pytest.approx(4 * 5 * 5 * VOXEL_CC)
    assert found.overlap_cc == pytest.approx(4 * 5 * 2 * VOXEL_CC)
    kind, why = reirradiation_type(found, is_toxicity_a_concern=None, is_same_organ=None)
    assert kind is ReirradiationType.TYPE_1
    assert "20 Gy volume of the first course (1.2 cc)" in why
    assert "share 0.4 cc" in why


@pytest.mark.parametrize(
    ("is_concern", "is_same", "expected"),
    [
        (True, None, ReirradiationType.TYPE_2),
        (False, True, ReirradiationType.REPEAT_ORGAN),
        (False, False, ReirradiationType.REPEAT),
        (False, None, ReirradiationType.UNKNOWN),
        (None, True, ReirradiationType.UNKNOWN),
    ],
)
def test_without_overlap_the_clinician_says(
    is_concern: bool | None, is_same: bool | None, expected: ReirradiationType
) -> None:
    apart = overlap(dose(slice(0, 4), 45), dose(slice(5, 9), 27))
    kind, _ = reirradiation_type(apart, is_toxicity_a_concern=is_concern, is_same_organ=is_same)
    assert kind is expected


def test_the_isodose_that_is_stated_decides() -> None:
    first, second = dose(slice(0, 6), 15), dose(slice(4, 9), 27)
    low = dose_overlap(first, second, first_isodose_gy=10, second_isodose_gy=10)
    high = dose_overlap(first, second, first_isodose_gy=20, second_isodose_gy=10)
    assert low.overlap_cc > 0
    assert high.overlap_cc == 0


def test_unknown_dose_is_not_no_dose() -> None:
    # where the second course went, the first dose is not known
    found = overlap(dose(slice(0, 4), 45, unknown=slice(5, 10)), dose(slice(6, 9), 27))
    assert found.overlap_cc == 0
    assert found.unknown_cc == pytest.approx(4 * 5 * 3 * VOXEL_CC)
    kind, why = reirradiation_type(found, is_toxicity_a_concern=False, is_same_organ=False)
    assert kind is ReirradiationType.UNKNOWN
    assert "one is unknown in 0.6 cc" in why


def test_doses_that_cannot_be_compared_are_refused() -> None:
    physical = dose(slice(0, 4), 45)
    equivalent = Dose(physical.values, GRID, DoseQuantity.EQD2, 3.0)
    with pytest.raises(QuantityMismatchError, match="expected two doses of one quantity"):
        overlap(physical, equivalent)
    other = Grid((4, 5, 9), (0.0, 0.0, 0.0), (2.0, 2.0, 2.5), "1.2.3")
    with pytest.raises(GridMismatchError):
        overlap(physical, Dose(np.zeros(other.shape), other))
    with pytest.raises(InputError, match="expected isodoses above 0 Gy, got 0"):
        dose_overlap(physical, physical, first_isodose_gy=0, second_isodose_gy=10)
