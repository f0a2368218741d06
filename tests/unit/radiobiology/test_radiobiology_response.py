import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rerad.errors import InputError
from rerad.radiobiology import (
    eqd2,
    geud,
    lkb_ntcp,
    load_lkb_parameters,
    log_logistic_probability,
    poisson_tcp,
)
from rerad.tables import load_table

dose_lists = st.lists(st.floats(0.1, 100.0), min_size=1, max_size=20)


@pytest.mark.parametrize(("dose_gy", "percent"), [(10, 85.0), (11, 88.4), (12, 91.2), (13, 93.5)])
def test_hytec_spine_control_in_one_fraction(dose_gy, percent):
    """HyTEC (Soltys): alpha/beta 12.4 Gy, half dose 3.48 Gy, slope 0.1446."""
    tcp = poisson_tcp(eqd2(dose_gy, 1, 12.4), d50_gy=3.48, gamma=0.1446)
    assert 100 * tcp == pytest.approx(percent, abs=0.0501)


def test_cauda_equina_fit_meets_the_published_doses():
    """PMID 15993548: TD5/5 and TD50/5 are 67 and 84 CGE (female), 55 and 72 (male)."""
    rows = {row["group"]: row for row in load_table("response")["log_logistic"]}
    for group, td5, td50 in (("female", 67, 84), ("male", 55, 72)):
        at = {"d50_gy": rows[group]["d50_gy"], "k": rows[group]["k"]}
        assert log_logistic_probability(td5, **at) == pytest.approx(0.05, abs=0.001)
        assert log_logistic_probability(td50, **at) == pytest.approx(0.5)
    assert log_logistic_probability(0.0, **at) == 0


def test_rectum_parameters_are_not_swapped():
    """A public code carries m 0.09 and n 0.12; QUANTEC has m 0.13 and n 0.09."""
    rectum = next(row for row in load_lkb_parameters() if row.organ == "rectum")
    assert (rectum.td50_gy, rectum.m, rectum.n) == (76.9, 0.13, 0.09)
    assert lkb_ntcp(rectum.td50_gy, rectum) == pytest.approx(0.5)
    one_width = rectum.td50_gy * (1 + rectum.m)
    assert lkb_ntcp(one_width, rectum) == pytest.approx(0.8413, abs=1e-4)


@given(dose_lists, st.floats(-30, 60).filter(lambda a: abs(a) > 0.1))
def test_geud_lies_between_minimum_and_maximum_and_scales(doses, a):
    volume = np.ones(len(doses))
    value = geud(doses, volume, a=a)
    assert min(doses) * (1 - 1e-9) <= value <= max(doses) * (1 + 1e-9)
    np.testing.assert_allclose(geud(2 * np.array(doses), volume, a=a), 2 * value, rtol=1e-9)


@given(dose_lists)
def test_geud_limits(doses):
    volume = np.ones(len(doses))
    np.testing.assert_allclose(geud(doses, volume, a=1), np.mean(doses))
    assert geud(doses, volume, a=500) == pytest.approx(max(doses), rel=0.01)
    assert geud(doses, volume, a=8) >= geud(doses, volume, a=2) * (1 - 1e-12)


def test_geud_refuses_nonsense():
    assert geud([0.0, 0.0], [1.0, 2.0], a=3) == 0
    assert geud([0.0, 10.0], [1.0, 2.0], a=-3) == 0
    assert np.isnan(geud([np.nan, 10.0], [1.0, 2.0], a=3))
    with pytest.raises(InputError, match="one shape"):
        geud([1.0], [1.0, 2.0], a=1)
    with pytest.raises(InputError, match="exponent"):
        geud([1.0], [1.0], a=0)
    with pytest.raises(InputError, match="some volume"):
        geud([1.0], [0.0], a=1)
    with pytest.raises(InputError, match="gamma > 0"):
        poisson_tcp(10, d50_gy=3, gamma=0)
    with pytest.raises(InputError, match="k > 0"):
        log_logistic_probability(10, d50_gy=3, k=0)
