import numpy as np
import pytest

from rerad.core import Dose, DoseQuantity, Grid, Severity
from rerad.errors import InputError, QuantityMismatchError
from rerad.radiobiology import (
    bed,
    eqd2,
    fraction_size_finding,
    physical_from_eqd2,
    to_bed,
    to_eqd2,
)

GRID = Grid((1, 1, 4), (0, 0, 0), (1, 1, 1), "1.2.3")


def dose(values):
    return Dose(np.asarray(values, dtype=float).reshape(1, 1, 4), GRID)


def test_to_eqd2_is_voxelwise_and_keeps_unknown():
    converted = to_eqd2(dose([55, 45, 0, np.nan]), n_fractions_planned=25, alpha_beta_gy=2.0)
    np.testing.assert_allclose(converted.values[0, 0], [57.75, 42.75, 0, np.nan], rtol=1e-6)
    assert converted.quantity is DoseQuantity.EQD2
    assert converted.alpha_beta_gy == 2.0
    assert converted.n_unknown == 1


def test_to_bed_agrees_with_eqd2():
    as_bed = to_bed(dose([55, 45, 1, 0]), n_fractions_planned=25, alpha_beta_gy=2.0)
    assert as_bed.quantity is DoseQuantity.BED
    np.testing.assert_allclose(as_bed.values[0, 0, :2], [115.5, 85.5], rtol=1e-6)


def test_nothing_delivered_is_nothing():
    none = to_eqd2(
        dose([55, 45, 0, np.nan]),
        n_fractions_planned=25,
        n_fractions_delivered=0,
        alpha_beta_gy=2.0,
    )
    np.testing.assert_array_equal(none.values[0, 0], [0, 0, 0, np.nan])


def test_converting_twice_is_refused():
    once = to_eqd2(dose([1, 2, 3, 4]), n_fractions_planned=2, alpha_beta_gy=3.0)
    with pytest.raises(QuantityMismatchError, match="expected a physical dose"):
        to_eqd2(once, n_fractions_planned=2, alpha_beta_gy=3.0)


@pytest.mark.parametrize(
    ("n", "alpha_beta", "message"),
    [
        (0, 2.0, "1 fraction or more"),
        (1.5, 2.0, "whole number"),
        (5, 0.0, "alpha/beta above 0"),
        (5, np.nan, "alpha/beta above 0"),
    ],
)
def test_impossible_fractionation_is_refused(n, alpha_beta, message):
    with pytest.raises(InputError, match=message):
        bed(10.0, n, alpha_beta)
    with pytest.raises(InputError, match=message):
        physical_from_eqd2(10.0, n_fractions=n, alpha_beta_gy=alpha_beta)


def test_negative_dose_and_fractions_are_refused():
    with pytest.raises(InputError, match="0 Gy or more"):
        eqd2([-1.0, 2.0], 5, 2.0)
    with pytest.raises(InputError, match="delivered fractions"):
        to_eqd2(
            dose([1, 2, 3, 4]),
            n_fractions_planned=5,
            n_fractions_delivered=-1,
            alpha_beta_gy=2.0,
        )


def test_remaining_tolerance_below_zero_allows_nothing_and_unknown_stays_unknown():
    got = physical_from_eqd2([-5.0, 0.0, np.nan], n_fractions=22, alpha_beta_gy=2.5)
    np.testing.assert_array_equal(got, [0.0, 0.0, np.nan])


def test_fraction_size_finding():
    assert fraction_size_finding(1.8) is None
    assert fraction_size_finding(6.0) is None
    for fraction, severity in ((0.5, "NOTE"), (8.0, "CAUTION"), (16.0, "SERIOUS")):
        finding = fraction_size_finding(fraction, "course 2")
        assert finding is not None
        assert finding.severity is Severity[severity]
        assert finding.where == "course 2"
        assert "1 to 6 Gy" in finding.text
