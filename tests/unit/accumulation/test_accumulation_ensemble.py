import numpy as np
import pytest

from rerad.accumulation import (
    RegistrationSpread,
    ensemble_interval,
    map_dose,
    sample_transforms,
)
from rerad.core import Dose, DoseQuantity, Grid, RigidTransform
from rerad.errors import InputError, QuantityMismatchError

PRIOR = Grid((24, 28, 28), (-40.5, -40.5, -34.5), (3.0, 3.0, 3.0), "prior")
TODAY = Grid((6, 6, 6), (-10.0, -10.0, -10.0), (4.0, 4.0, 4.0), "today")
SPREAD = RegistrationSpread((2.0, 1.5, 2.5), (1.0, 1.0, 1.0))
MATRIX = np.eye(4)
REGISTERED = RigidTransform(MATRIX, "prior", "today")


def prior_dose():
    """A steep gradient across the middle, like the edge of a target."""
    x, y, z = PRIOR.axes_mm
    zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
    values = 50 / (1 + np.exp(-(xx + 0.4 * yy - 0.3 * zz) / 4))
    return Dose(values, PRIOR, DoseQuantity.EQD2, 2.0)


def draws(n, seed):
    rng = np.random.default_rng(seed)
    return sample_transforms(REGISTERED, SPREAD, center_mm=(0.0, 0.0, 0.0), n=n, rng=rng)


def test_interval_covers_the_true_dose_at_its_level():
    dose = prior_dose()
    low, high = ensemble_interval(
        [map_dose(dose, t, TODAY) for t in draws(199, seed=1)], level=0.90
    )
    inside = []
    for truth in draws(200, seed=2):
        true = map_dose(dose, truth, TODAY).values
        inside.append(np.mean((true >= low.values) & (true <= high.values)))
    # 199 members with r = 10 hold 90 %; 200 truths settle the mean to about two percent, and the
    # members themselves to about two more.
    assert np.mean(inside) == pytest.approx(0.90, abs=0.05)
    assert (low.values <= high.values).all()
    assert float((high.values - low.values).max()) > 5


def test_draws_have_the_asked_spread():
    points = np.array([[0.0, 0.0, 0.0]])
    moved = np.array([t.apply(points)[0] for t in draws(4000, seed=3)])
    np.testing.assert_allclose(moved.mean(axis=0), 0.0, atol=0.15)
    np.testing.assert_allclose(moved.std(axis=0), SPREAD.shift_sd_mm, rtol=0.05)


def test_no_spread_is_the_registration_itself():
    none = RegistrationSpread((0, 0, 0), (0, 0, 0))
    (same,) = sample_transforms(
        REGISTERED, none, center_mm=(5, 6, 7), n=1, rng=np.random.default_rng(0)
    )
    np.testing.assert_allclose(same.matrix, REGISTERED.matrix, atol=1e-12)
    assert (same.from_frame_uid, same.to_frame_uid) == ("prior", "today")


def test_unknown_in_one_member_is_unknown():
    values = np.ones((1, 1, 2))
    grid = Grid((1, 1, 2), (0, 0, 0), (1, 1, 1), "today")
    known = [Dose(values * gy, grid, DoseQuantity.EQD2, 2.0) for gy in range(1, 20)]
    holed = values.copy()
    holed[0, 0, 0] = np.nan
    low, high = ensemble_interval(
        [*known[:-1], Dose(holed * 19, grid, DoseQuantity.EQD2, 2.0)], level=0.90
    )
    np.testing.assert_array_equal(low.values[0, 0], [np.nan, 1])
    np.testing.assert_array_equal(high.values[0, 0], [np.nan, 19])


def test_bad_requests_are_refused():
    one = Dose(np.ones((1, 1, 1)), Grid((1, 1, 1), (0, 0, 0), (1, 1, 1), "f"))
    with pytest.raises(InputError, match="needs 19 members"):
        ensemble_interval([one] * 18, level=0.90)
    with pytest.raises(InputError, match="between 0 and 1"):
        ensemble_interval([one] * 30, level=1.0)
    other = Dose(one.values, one.grid, DoseQuantity.EQD2, 2.0)
    with pytest.raises(QuantityMismatchError):
        ensemble_interval([one] * 19 + [other], level=0.90)
    with pytest.raises(InputError, match="standard deviations"):
        RegistrationSpread((-1, 0, 0), (0, 0, 0))
    with pytest.raises(InputError, match="1 draw or more"):
        draws(0, seed=1)
