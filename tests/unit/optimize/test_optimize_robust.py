"""The worst case: exact caps, scenarios of set-up, and what robustness costs and buys."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rerad.core import BeamGeometry, BixelGrid, Grid, Image, ImageUnit, Modality, PatientPosition
from rerad.dosecalc import build_operator, load_machine, make_bixel_grid
from rerad.errors import InputError
from rerad.optimize import (
    Aim,
    DoseCap,
    OrganRisk,
    Overdose,
    Problem,
    ShiftedDose,
    SolveSettings,
    SweepLeakage,
    TailMean,
    TailSide,
    Underdose,
    ValueCap,
    VolumeBelow,
    WorstCase,
    axis_shifts,
    robust_price,
    robust_problem,
    shifted_dose,
    solve,
    worst_case_cap,
    worst_case_eqd2,
)
from rerad.radiobiology import eqd2, physical_from_eqd2

SEEDS = st.integers(0, 2**32 - 1)


def prior_at(alpha_beta, recovery, doses, fractions):
    return sum(
        (1 - rho) * eqd2(dose, n, alpha_beta)
        for rho, dose, n in zip(recovery, doses, fractions, strict=True)
    )


@settings(deadline=None, max_examples=60)
@given(seed=SEEDS)
def test_corners_are_the_worst_of_all_truths(seed):
    """Brute force over alpha/beta and two recoveries: nothing between the corners is worse."""
    rng = np.random.default_rng(seed)
    fractions = rng.integers(1, 36, 2)
    doses = [rng.uniform(0, 3.0 * n, 5) for n in fractions]
    low_ab, low_rho = rng.uniform(1, 4), rng.uniform(0, 0.4, 2)
    high_ab, high_rho = low_ab + rng.uniform(0, 8), low_rho + rng.uniform(0, 0.5, 2)
    n, limit = int(rng.integers(1, 36)), float(rng.uniform(30, 120))
    ends = (low_ab, high_ab)
    corners = [prior_at(a, low_rho, doses, fractions) for a in ends]
    cap = worst_case_cap(corners, ends, limit, n)
    new = rng.uniform(0, 60, 5)
    highest = worst_case_eqd2(corners, ends, new, n)
    least, largest = np.full(5, np.inf), np.zeros(5)
    for alpha_beta in np.linspace(low_ab, high_ab, 9):
        for first in np.linspace(low_rho[0], high_rho[0], 4):
            for second in np.linspace(low_rho[1], high_rho[1], 4):
                prior = prior_at(alpha_beta, (first, second), doses, fractions)
                this = physical_from_eqd2(limit - prior, n_fractions=n, alpha_beta_gy=alpha_beta)
                least = np.minimum(least, this)
                largest = np.maximum(largest, prior + eqd2(new, n, alpha_beta))
    assert cap == pytest.approx(least, rel=1e-9, abs=1e-9)
    assert highest == pytest.approx(largest, rel=1e-9)


def test_either_end_of_alpha_beta_may_be_the_worst():
    """Large fractions before: a low alpha/beta is worst; small ones: a high one."""
    doses, ends = [np.array([40.0, 40.0])], (2.0, 10.0)
    for fractions, worst in ((5, 0), (40, 1)):
        corners = [prior_at(a, (0.0,), doses, (fractions,)) for a in ends]
        caps = [worst_case_cap([c], [a], 90.0, 40)[0] for c, a in zip(corners, ends, strict=True)]
        assert int(np.argmin(caps)) == worst
        assert worst_case_cap(corners, ends, 90.0, 40)[0] == min(caps)


def test_a_map_of_maxima_is_the_worst_of_registrations():
    rng = np.random.default_rng(4)
    shifted = rng.uniform(0, 60, (12, 30))
    single = [worst_case_cap([prior], [2.0], 70.0, 22) for prior in shifted]
    assert worst_case_cap([shifted.max(axis=0)], [2.0], 70.0, 22) == pytest.approx(
        np.min(single, axis=0)
    )


def test_known_cap_and_what_is_unknown_or_spent():
    # 27 Gy EQD2 left at alpha/beta 2.5 in 22 fractions are 31.06 Gy (physical_from_eqd2)
    got = worst_case_cap([[43.0, np.nan, 71.0]], [2.5], 70.0, 22)
    assert got[0] == pytest.approx(31.06, abs=0.005)
    assert np.isnan(got[1])
    assert got[2] == 0.0
    got = worst_case_cap([[43.0, 43.0], [43.0, np.nan]], [2.5, 3.0], 70.0, 22)
    assert np.isnan(got).tolist() == [False, True]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([], [], 70.0, 22), "for each corner an earlier dose"),
        (([[1.0]], [2.0, 3.0], 70.0, 22), "got 1 doses and 2 alpha/betas"),
        (([[1.0], [1.0, 2.0]], [2.0, 3.0], 70.0, 22), "one shape at every corner"),
        (([[-1.0]], [2.0], 70.0, 22), "0 Gy EQD2 or more"),
        (([[1.0]], [2.0], 0.0, 22), "limit above 0"),
        (([[1.0]], [0.0], 70.0, 22), "alpha/beta above 0"),
    ],
)
def test_caps_refuse_what_does_not_fit(arguments, says):
    with pytest.raises(InputError, match=says):
        worst_case_cap(*arguments)


class Dense:
    def __init__(self, matrix):
        self.matrix = matrix
        self.n_points, self.n_beamlets = matrix.shape

    def forward(self, fluence_mu):
        return self.matrix @ fluence_mu

    def adjoint(self, weight_per_gy):
        return self.matrix.T @ weight_per_gy


AXIS = np.arange(-50.0, 51.0, 5.0)
POINTS = np.stack(np.meshgrid(AXIS, AXIS), axis=-1).reshape(-1, 2)
RADIUS = np.hypot(*POINTS.T)
CORE = np.flatnonzero(RADIUS < 10)
TARGET = np.flatnonzero((RADIUS >= 15) & (RADIUS <= 26) & (POINTS[:, 0] > -8))
REST = np.setdiff1d(np.arange(len(POINTS)), np.concatenate([CORE, TARGET]))
FOLLOWED = np.concatenate([TARGET, CORE])
SHIFTS = axis_shifts((4.0, 4.0, 0.0))


def slice_dose(shift=(0.0, 0.0, 0.0), points=None):
    """Five beams of twelve beamlets through a plane, about an isocentre that may be shifted."""
    at = (POINTS if points is None else POINTS[points]) - np.asarray(shift[:2])
    columns = []
    for angle in 0.1 + 2 * np.pi / 5 * np.arange(5):
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        for offset in np.linspace(-27.0, 27.0, 12):
            lateral = np.exp(-0.5 * ((at @ across - offset) / 3.5) ** 2)
            columns.append(0.02 * lateral * np.exp(-0.005 * (at @ along + 50.0)))
    return Dense(np.array(columns).T)


def scenarios():
    operators = [slice_dose()] + [slice_dose(s, FOLLOWED) for s in SHIFTS[1:]]
    return ShiftedDose(tuple(operators), FOLLOWED, SHIFTS)


SHIFTED = scenarios()
CAP_GY = 14.0


def nominal_problem():
    terms = (
        Underdose("PTV", TARGET, np.ones(len(TARGET)), 40.0, 100.0),
        Overdose("PTV max", TARGET, np.ones(len(TARGET)), 42.0, 50.0),
        Overdose("rest", REST, np.ones(len(REST)), 20.0, 5.0),
    )
    return Problem(slice_dose(), terms, caps=(DoseCap("core", CORE, CAP_GY),))


def test_axis_shifts():
    assert SHIFTS == ((0, 0, 0), (-4, 0, 0), (4, 0, 0), (0, -4, 0), (0, 4, 0))
    assert len(axis_shifts((3.0, 3.0, 5.0))) == 7
    with pytest.raises(InputError, match="reaches of 0 mm or more"):
        axis_shifts((3.0, -1.0, 0.0))


def test_shifted_dose_is_linear_and_its_adjoint_the_transpose():
    rng = np.random.default_rng(1)
    x, y = rng.uniform(0, 9, SHIFTED.n_beamlets), rng.normal(size=SHIFTED.n_points)
    assert SHIFTED.forward(x) @ y == pytest.approx(x @ SHIFTED.adjoint(y), rel=1e-12)
    dose = SHIFTED.forward(x)
    for scenario, shift in enumerate(SHIFTS):
        where = SHIFTED.points_in(scenario, CORE, "core")
        assert dose[where] == pytest.approx(slice_dose(shift, CORE).forward(x))


def test_points_that_are_not_followed_are_named():
    with pytest.raises(InputError, match=r"ring: 2 of 2 points are not among those followed"):
        SHIFTED.points_in(1, REST[:2], "ring")
    assert SHIFTED.points_in(0, REST[:2], "ring") is not None
    with pytest.raises(InputError, match="expected an operator of 60 beamlets"):
        ShiftedDose(SHIFTED.operators, FOLLOWED, SHIFTS[1:])


def test_isocentres_move_in_the_patient():
    """In wide water a shift along z by one voxel is the dose moved by one voxel."""
    machine = load_machine("generic_6mv")
    grid = Grid((25, 20, 25), (-72.0, -57.0, -72.0), (6.0, 6.0, 6.0), "1.2.3")
    density = Image(
        np.ones((61, 20, 61), dtype=np.float32),
        Grid((61, 20, 61), (-180.0, -57.0, -180.0), (6.0, 6.0, 6.0), "1.2.3"),
        Modality.CT,
        ImageUnit.DENSITY,
    )
    position = PatientPosition.HFS
    beams = (
        make_bixel_grid(
            BeamGeometry("b", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0)),
            machine,
            np.random.default_rng(0).uniform(-15, 15, (200, 3)),
            margin_mm=4.0,
            column_width_mm=5.0,
            position=position,
        ),
    )
    points = np.arange(grid.n_voxels)

    def build(bixels, where):
        return build_operator(machine, density, points[where], grid, bixels, position)

    shift = (0.0, 0.0, 6.0)
    got = shifted_dose(
        build(beams, points), beams, build, followed=points, shifts_mm=((0.0, 0.0, 0.0), shift)
    )
    fluence = np.random.default_rng(2).uniform(5, 10, got.n_beamlets)
    nominal, moved = got.forward(fluence).reshape(2, *grid.shape)
    assert moved[1:] == pytest.approx(nominal[:-1], abs=2e-3 * nominal.max())
    assert np.abs(moved - nominal).max() > 0.3 * nominal.max()


def test_worst_case_lies_between_its_bounds_and_equals_what_does_not_differ():
    rng = np.random.default_rng(2)
    single = Underdose("PTV", np.arange(9), np.ones(9), 40.0, 3.0)
    terms = tuple(replace(single, indices=np.arange(9) + 9 * s) for s in range(5))
    worst = WorstCase("PTV", terms)
    assert worst.indices.tolist() == list(range(45))
    dose = rng.uniform(20, 42, 45)
    values = [t.value_and_gradient(dose[9 * s : 9 * s + 9])[0] for s, t in enumerate(terms)]
    value, _ = worst.value_and_gradient(dose)
    assert max(values) * 5 ** (-1 / 8) <= value <= max(values)
    assert WorstCase("PTV", terms, 1.0).value_and_gradient(dose)[0] == pytest.approx(
        np.mean(values)
    )
    same = np.tile(dose[:9], 5)
    value, slope = worst.value_and_gradient(same)
    expected, single_slope = single.value_and_gradient(dose[:9])
    assert value == pytest.approx(expected)
    assert slope.reshape(5, 9).sum(axis=0) == pytest.approx(single_slope)
    assert worst.curvature().reshape(5, 9).sum(axis=0) == pytest.approx(single.curvature())
    value, slope = worst.value_and_gradient(np.full(45, 50.0))
    assert value == 0.0
    assert not slope.any()
    assert worst.is_convex
    bent = VolumeBelow("D95%", np.arange(9), np.ones(9), 38.0, 0.05, 1.0)
    assert not WorstCase("D95%", (bent,)).is_convex


@settings(deadline=None, max_examples=40)
@given(seed=SEEDS, share=st.floats(0.01, 0.99))
def test_worst_case_is_convex_with_the_right_gradient(seed, share):
    rng = np.random.default_rng(seed)
    terms = tuple(Underdose("PTV", np.arange(6) + 6 * s, np.ones(6), 40.0, 3.0) for s in range(4))
    worst = WorstCase("PTV", terms, float(rng.uniform(1, 12)))
    one, other = rng.uniform(10, 45, (2, 24))
    first, slope = worst.value_and_gradient(one)
    second = worst.value_and_gradient(other)[0]
    between = worst.value_and_gradient(share * one + (1 - share) * other)[0]
    assert between <= share * first + (1 - share) * second + 1e-12
    assert second >= first + slope @ (other - one) - 1e-12
    step = 1e-5 * rng.normal(size=24)
    rise = worst.value_and_gradient(one + step)[0] - worst.value_and_gradient(one - step)[0]
    assert rise / 2 == pytest.approx(slope @ step, rel=1e-4, abs=1e-12)


def test_worst_case_refuses_values_below_zero():
    plain = TailMean("t", np.arange(3), np.ones(3), 0.5, Aim(1.0, 1.0), TailSide.COLDEST)
    with pytest.raises(InputError, match="give it a goal instead of its plain value"):
        WorstCase("t", (plain,)).value_and_gradient(np.ones(3))
    with pytest.raises(InputError, match="power of 1 or more"):
        WorstCase("t", (plain,), 0.5)
    with pytest.raises(InputError, match="expected names of objectives of the problem, got GTV"):
        robust_problem(nominal_problem(), SHIFTED, worst_case=["GTV"])


@pytest.fixture(scope="module")
def plans():
    problem = nominal_problem()
    nominal = solve(problem, SolveSettings(max_evaluations=1500))
    robust = robust_problem(problem, SHIFTED, worst_case=["PTV"])
    solution = solve(robust, SolveSettings(max_evaluations=3000), start=nominal.fluence_mu)
    return nominal, robust, solution


def test_caps_hold_in_every_scenario(plans):
    nominal, robust, solution = plans
    assert len(robust.caps) == len(SHIFTS)
    assert robust.caps[2].name == "core, isocentre shifted by (4, 0, 0) mm"
    assert solution.is_converged
    for scenario in range(len(SHIFTS)):
        where = SHIFTED.points_in(scenario, CORE, "core")
        assert SHIFTED.forward(solution.fluence_mu)[where].max() <= CAP_GY + 0.02
    assert SHIFTED.forward(nominal.fluence_mu)[SHIFTED.points_in(2, CORE, "c")].max() > CAP_GY + 1


def test_robust_beats_nominal_in_its_own_aim(plans):
    """No other plan that keeps the caps in every scenario is better; the nominal one scaled is."""
    nominal, robust, solution = plans
    dose = SHIFTED.forward(nominal.fluence_mu)
    core = np.concatenate([SHIFTED.points_in(s, CORE, "c") for s in range(len(SHIFTS))])
    scaled = nominal.fluence_mu * CAP_GY / dose[core].max()
    assert robust.value_and_gradient(scaled)[0] > solution.objective * 1.02


def test_background_moves_with_the_points():
    background = np.arange(float(len(POINTS)))
    problem = replace(nominal_problem(), background_dose_gy=background)
    robust = robust_problem(problem, SHIFTED, worst_case=["PTV"])
    where = SHIFTED.points_in(3, CORE, "core")
    assert robust.background_dose_gy[where] == pytest.approx(background[CORE])


def test_leakage_and_bounds_of_sums_are_carried_over():
    beams = tuple(
        BixelGrid(
            BeamGeometry(f"b{n}", 0.0, 0.0, 0.0, (0.0, 0.0, 0.0)),
            np.linspace(-30.0, 30.0, 13),
            np.array([-5.0, 5.0]),
            np.ones((1, 12), dtype=bool),
        )
        for n in range(5)
    )
    per_mu = np.random.default_rng(3).uniform(0, 0.02, (5, len(POINTS)))
    leakage = SweepLeakage(beams, 0.015, 0.2, per_mu, 1.0)
    bound = ValueCap("reached", (Overdose("core", CORE, np.ones(len(CORE)), 5.0, 1.0),), 0.7)
    problem = replace(nominal_problem(), leakage=leakage, value_caps=(bound,))
    robust = robust_problem(problem, SHIFTED, worst_case=["PTV"])
    assert robust.value_caps[0] is bound
    assert [item.at_most for item in robust.value_caps] == [0.7] * len(SHIFTS)
    x = np.random.default_rng(4).uniform(0, 30, 60)
    leaked = problem.dose_gy(x) - nominal_problem().dose_gy(0.985 * x)
    dose = robust.dose_gy(x) - SHIFTED.forward(0.985 * x)
    for scenario in (0, 4):
        where = SHIFTED.points_in(scenario, CORE, "core")
        assert dose[where] == pytest.approx(leaked[CORE], rel=1e-4)


def test_no_shift_is_the_nominal_problem():
    still = ShiftedDose((slice_dose(), slice_dose(points=FOLLOWED)), FOLLOWED, ((0, 0, 0),) * 2)
    problem = nominal_problem()
    robust = robust_problem(problem, still, worst_case=["PTV", "PTV max"])
    x = np.random.default_rng(7).uniform(0, 30, 60)
    value, slope = problem.value_and_gradient(x)
    again, same = robust.value_and_gradient(x)
    assert again == pytest.approx(value)
    assert same == pytest.approx(slope)


def test_price_names_what_was_paid_and_bought(plans):
    nominal, _, solution = plans
    prior = np.full(len(CORE), 40.0)
    limit = 40.0 + eqd2(CAP_GY, 22, 2.0)
    organ = OrganRisk(CORE, [prior], [2.0], limit, 22)
    price = robust_price(
        SHIFTED,
        nominal.fluence_mu,
        solution.fluence_mu,
        targets={"PTV": (TARGET, np.ones(len(TARGET)))},
        organs={"Core": organ},
    )
    (target,), (core,) = price.targets, price.organs
    dose = np.sort(nominal.dose_gy[TARGET])[::-1]
    n_98, n_95 = (int(np.ceil(share * len(TARGET) - 1e-9)) for share in (0.98, 0.95))
    assert target.d98.nominal_gy == pytest.approx(dose[n_98 - 1])
    assert target.d95.nominal_gy == pytest.approx(dose[n_95 - 1])
    assert target.d95.change_gy == target.d95.robust_gy - target.d95.nominal_gy
    assert target.worst_d98.robust_gy <= target.d98.robust_gy
    assert core.worst_excess.nominal_gy > 0.5
    assert core.worst_excess.robust_gy <= 0.03
    assert core.n_unknown == 0
    worst = max(
        SHIFTED.forward(nominal.fluence_mu)[SHIFTED.points_in(s, CORE, "c")].max()
        for s in range(len(SHIFTS))
    )
    assert core.worst_excess.nominal_gy == pytest.approx(40.0 + eqd2(worst, 22, 2.0) - limit)


def test_price_keeps_unknown_apart():
    prior = np.full(len(CORE), 40.0)
    prior[:2] = np.nan
    zero = np.zeros(60)
    organ = OrganRisk(CORE, [prior], [2.0], 60.0, 22)
    price = robust_price(SHIFTED, zero, zero, targets={}, organs={"Core": organ})
    assert price.organs[0].n_unknown == 2
    assert price.organs[0].worst_excess.nominal_gy == pytest.approx(-20.0)
    nothing = OrganRisk(CORE, [np.full(len(CORE), np.nan)], [2.0], 60.0, 22)
    price = robust_price(SHIFTED, zero, zero, targets={}, organs={"Core": nothing})
    assert np.isnan(price.organs[0].worst_excess.robust_gy)
    with pytest.raises(InputError, match="Core: expected"):
        robust_price(
            SHIFTED,
            zero,
            zero,
            targets={},
            organs={"Core": OrganRisk(CORE, [prior[1:]], [2.0], 60.0, 22)},
        )
