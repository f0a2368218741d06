"""Conformity and fall-off against boxes and spheres that can be worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Contour, Dose, DoseQuantity, Grid, Mask, Structure, StructureKind
from rerad.errors import InputError, MissingDataError, QuantityMismatchError
from rerad.evaluation import (
    PlanShape,
    Verdict,
    dvh,
    evaluate_metric,
    evaluate_shape,
    highest_dose_beyond,
    isodose_volume_cc,
    parse_goal,
    parse_metric,
    shape_bounds,
)
from rerad.structures import rasterize

FRAME = "1.2.3"
GRID = Grid((41, 41, 41), (-59.6, -60.2, -59.9), (3.0, 3.0, 3.0), FRAME)
Z, Y, X = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
CONE = Dose((60 - np.sqrt(X**2 + Y**2 + Z**2)).clip(0), GRID)
"""Falls by 1 Gy a millimetre from 60 Gy in the middle: isodoses are spheres, errors are mm."""
BODY = Mask("Body", StructureKind.EXTERNAL, np.ones(GRID.shape, np.float32), GRID)


def ball(radius_mm: float) -> Structure:
    """Return a sphere drawn on planes 1 mm apart."""
    angle = np.linspace(0, 2 * np.pi, 180, endpoint=False)
    circle = np.column_stack([np.cos(angle), np.sin(angle)])
    heights = np.arange(-radius_mm + 0.5, radius_mm)
    contours = [Contour(float(z), circle * np.sqrt(radius_mm**2 - z**2)) for z in heights]
    return Structure("PTV", StructureKind.PTV, FRAME, tuple(contours), 1.0)


def shape_of(radius_mm: float, prescription_gy: float | None, dose: Dose = CONE) -> PlanShape:
    target = ball(radius_mm)
    return PlanShape(dose, BODY, rasterize(target, GRID), dvh(dose, target), prescription_gy)


@pytest.mark.parametrize("radius_mm", [20.0, 30.0])
@pytest.mark.parametrize("isodose_mm", [-3.0, 0.0, 3.0])
def test_spheres_in_a_cone_of_dose(radius_mm: float, isodose_mm: float) -> None:
    isodose_mm += radius_mm
    prescription_gy = 60 - isodose_mm
    shape = shape_of(radius_mm, prescription_gy)
    covered = min(radius_mm, isodose_mm)
    conformity = covered**6 / radius_mm**3 / isodose_mm**3
    low, high = shape_bounds(parse_metric("CI"), shape)
    assert low == high == pytest.approx(conformity, abs=0.01 if isodose_mm != radius_mm else 0.025)
    low, high = shape_bounds(parse_metric("R50%"), shape)
    assert low == high == pytest.approx(((60 - prescription_gy / 2) / radius_mm) ** 3, rel=4e-3)
    low, high = shape_bounds(parse_metric("D2cm"), shape)
    assert low == high == pytest.approx(60 - radius_mm - 20, abs=0.8)


def test_the_isodose_of_ci_may_be_named() -> None:
    """The 80 % isodose of 40 Gy has a radius of 28 mm around a target of 25."""
    shape = shape_of(25.0, 40.0)
    assert shape_bounds(parse_metric("CI80%"), shape)[0] == pytest.approx((25 / 28) ** 3, abs=0.01)


def _slab(low: tuple, high: tuple, name: str = "Target") -> Mask:
    fraction = np.zeros(GRID.shape, np.float32)
    fraction[low[0] : high[0], low[1] : high[1], low[2] : high[2]] = 1
    return Mask(name, StructureKind.PTV, fraction, GRID)


def test_planes_along_the_axes_are_exact() -> None:
    """A target of x = 10.9 to 25.9 mm in a dose that falls by 0.5 Gy a millimetre along x."""
    dose = Dose(np.broadcast_to(50 - 0.5 * X, GRID.shape), GRID)
    target = _slab((10, 10, 24), (30, 30, 29))
    ahead = _slab((10, 10, 29), (30, 30, 41), "ahead")
    low, high = highest_dose_beyond(dose, ahead, target, 20.0)
    assert low == high == pytest.approx(50 - 0.5 * (25.9 + 20.0), abs=1e-4)
    # Between two centres: half a voxel and a quarter of one more, as far as parts go.
    threshold_gy = 50 - 0.5 * (GRID.axes_mm[0][30] + 0.75)
    low, high = isodose_volume_cc(dose, ahead, threshold_gy)
    assert low == high == pytest.approx(20 * 20 * 1.75 * 0.027, rel=1e-6)


def test_unknown_dose_gives_bounds() -> None:
    values = CONE.values.copy()
    values[:, :, :5] = np.nan
    shape = shape_of(20.0, 40.0, Dose(values, GRID))
    unknown_cc = 41 * 41 * 5 * 0.027
    low, high = shape_bounds(parse_metric("R50%"), shape)
    assert (high - low) * shape.target_cc == pytest.approx(unknown_cc)
    assert low == pytest.approx((40 / 20) ** 3, rel=5e-3)
    assert shape_bounds(parse_metric("D2cm"), shape)[1] == np.inf
    assert shape.unknown_fraction == pytest.approx(5 / 41)
    goal = parse_goal("PTV D2cm <= 30 %")
    assert evaluate_shape(goal, shape).verdict is Verdict.EXCEEDED  # by what is known alone
    unclear = evaluate_shape(parse_goal("PTV D2cm <= 80 %"), shape)
    assert unclear.verdict is Verdict.UNKNOWN
    assert np.isnan(unclear.value)


def test_goals_are_judged_in_their_unit() -> None:
    shape = shape_of(20.0, 40.0)
    relative = evaluate_shape(parse_goal("PTV D2cm <= 60 %"), shape)
    absolute = evaluate_shape(parse_goal("PTV D2cm <= 20 Gy"), shape)
    assert relative.value == pytest.approx(100 * absolute.value / 40)
    assert relative.verdict is Verdict.MET
    assert absolute.verdict is Verdict.EXCEEDED
    assert evaluate_shape(parse_goal("PTV CI >= 0.9"), shape).verdict is Verdict.MET
    assert absolute.quantity == "physical dose"


def test_nothing_lies_that_far_away() -> None:
    target = _slab((10, 10, 10), (30, 30, 30))
    assert np.isnan(highest_dose_beyond(CONE, target, target, 20.0)).all()


def test_a_target_smaller_than_half_a_voxel_still_has_a_place() -> None:
    target = _slab((20, 20, 20), (21, 21, 21))
    target = replace(target, fraction=0.3 * target.fraction)
    low, high = highest_dose_beyond(CONE, BODY, target, 20.0)
    assert low == high == pytest.approx(40.0, abs=0.5)


def test_what_cannot_be_said_is_refused() -> None:
    shape = shape_of(20.0, 40.0)
    with pytest.raises(MissingDataError, match="give the prescription in Gy"):
        shape_bounds(parse_metric("R50%"), replace(shape, prescription_gy=None))
    with pytest.raises(InputError, match="Body is none, so name a target"):
        shape_bounds(parse_metric("CI"), replace(shape, target_dvh=None))
    with pytest.raises(InputError, match="expected one of CI, R50% and D2cm, got D95%"):
        shape_bounds(parse_metric("D95%"), shape)
    nothing = replace(shape.target, fraction=0 * shape.target.fraction)
    with pytest.raises(InputError, match="expected a target above 0 cc"):
        shape_bounds(parse_metric("D2cm"), replace(shape, target=nothing, target_dvh=None))
    total = Dose(CONE.values, GRID, DoseQuantity.EQD2, 3.0)
    with pytest.raises(QuantityMismatchError, match="expected a physical dose"):
        replace(shape, dose=total)
    for name in ("CI", "R50%", "D2cm"):
        with pytest.raises(InputError, match="cannot be read from the histogram of PTV"):
            evaluate_metric(name, dvh(CONE, ball(10.0)))
