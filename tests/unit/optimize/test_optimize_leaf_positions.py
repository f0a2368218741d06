"""Leaves moved on the dose they give: gradient, limits of the machine, never worse."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import (
    Beam,
    BeamGeometry,
    BixelGrid,
    ControlPoint,
    PatientPosition,
    Plan,
    Prescription,
)
from rerad.dosecalc import load_machine, raster_over
from rerad.errors import InputError
from rerad.optimize import DoseCap, Multipliers, Overdose, Problem, Underdose
from rerad.optimize.leaf_motion import LeafMotion, LeafSettings
from rerad.optimize.leaf_positions import _Search, delivered_dose, refine_leaves
from rerad.sequencing import check_deliverable

MACHINE = load_machine("generic_6mv")
STILL = replace(MACHINE, mlc=replace(MACHINE.mlc, is_dynamic=False))
BOUND = replace(MACHINE, mlc=replace(STILL.mlc, is_interdigitation_allowed=False))
N_PAIRS = MACHINE.mlc.n_leaf_pairs
ROWS = slice(26, 34)
JAW_X, JAW_Y = (-30.0, 30.0), (-20.0, 20.0)
N_FRACTIONS = 10


class TwoBeams:
    """Dose on a plane from two crossed beams: what each cell lets through, blurred."""

    def __init__(self):
        raster = raster_over((-30.0, -20.0), (30.0, 20.0), cell_mm=2.5)
        self.rasters = (raster, raster)
        self.bixel_grids = tuple(
            BixelGrid(geometry(angle), np.arange(-30.0, 31.0, 5.0), np.arange(-20.0, 21.0, 5.0),
                      np.ones((8, 12), dtype=bool))
            for angle in (0.0, 90.0)
        )  # fmt: skip
        x = np.arange(-28.0, 29.0, 4.0)
        points = np.stack(np.meshgrid(x, x, (-10.0, 0.0, 10.0)), axis=-1).reshape(-1, 3)
        self.points = points
        self.n_points = len(points)
        v, u = np.meshgrid(raster.y_mm, raster.x_mm, indexing="ij")
        self.matrices = []
        for across, depth in ((points[:, 0], points[:, 1]), (points[:, 1], -points[:, 0])):
            distance = (across[:, None] - u.ravel()) ** 2 + (points[:, 2:] - v.ravel()) ** 2
            share = np.exp(-distance / 32.0) / 100.0
            self.matrices.append(share * np.exp(-0.006 * (depth[:, None] + 30.0)))

    def forward_rasters(self, rasters_mu):
        return 0.01 * sum(m @ r.ravel() for m, r in zip(self.matrices, rasters_mu, strict=True))

    def adjoint_rasters(self, weights):
        raster = self.rasters[0]
        return [0.01 * (m.T @ weights).reshape(raster.n_y, raster.n_x) for m in self.matrices]

    @property
    def n_beamlets(self):
        return 2 * 96

    def forward(self, fluence_mu):
        raise AssertionError(fluence_mu)

    adjoint = forward


def geometry(angle):
    return BeamGeometry(f"G{angle:03.0f}", angle, 0.0, 0.0, (0.0, 0.0, 0.0))


OPERATOR = TwoBeams()
DISTANCE = np.hypot(*OPERATOR.points[:, :2].T)
TARGET = np.flatnonzero((DISTANCE > 8) & (DISTANCE < 20))
CORE = np.flatnonzero(DISTANCE < 6)
REST = np.flatnonzero(DISTANCE > 24)


def problem():
    ones = np.ones
    terms = (
        Underdose("PTV", TARGET, ones(len(TARGET)), 2.0, 100.0),
        Overdose("PTV max", TARGET, ones(len(TARGET)), 2.2, 100.0),
        Overdose("core", CORE, ones(len(CORE)), 0.8, 10.0),
        Overdose("rest", REST, ones(len(REST)), 0.5, 5.0),
    )
    return Problem(OPERATOR, terms)


def windows(machine, n_points=24):
    """Windows that sweep across the field of each beam, closed pairs behind the jaw."""
    parked = np.array([-34.0, -33.4])[:, None]
    tips = np.tile(parked, (n_points, 1, N_PAIRS))
    place = np.linspace(-30.0, 30.0, n_points)
    tips[:, 0, ROWS], tips[:, 1, ROWS] = (place - 9.0)[:, None], (place + 9.0)[:, None]
    return plan(machine, np.round(tips, 2), np.round(np.linspace(0, 1, n_points), 6), 90.0)


def segments(machine):
    """Three still segments, of which neighbouring rows stand apart."""
    shapes = np.empty((3, 2, N_PAIRS))
    shapes[:, 0], shapes[:, 1] = -10.0, -9.4
    for number, (left, right) in enumerate(((-20.0, 5.0), (-10.0, 10.0), (-5.0, 20.0))):
        shapes[number, 0, ROWS], shapes[number, 1, ROWS] = left, right
        shapes[number, 0, 28:30] += 4.0
    shapes[:, :, : ROWS.start] = shapes[:, 0, [ROWS.start]][:, None] + np.array([[0.0], [0.6]])
    shapes[:, :, ROWS.stop :] = shapes[:, 0, [ROWS.stop - 1]][:, None] + np.array([[0.0], [0.6]])
    shares = np.array([0.0, 0.3, 0.3, 0.7, 0.7, 1.0])
    return plan(machine, np.repeat(shapes, 2, axis=0), shares, 60.0)


def plan(machine, tips, shares, meterset_mu):
    beams = tuple(
        Beam(
            number,
            geometry(angle),
            tuple(
                ControlPoint(float(s), JAW_X, JAW_Y, leaves)
                for s, leaves in zip(shares, tips, strict=True)
            ),
            meterset_mu,
        )
        for number, angle in ((1, 0.0), (2, 90.0))
    )
    prescriptions = (Prescription("PTV", 2.0),)
    return Plan("test", "1.2.3", PatientPosition.HFS, machine.name, N_FRACTIONS, prescriptions,
                beams)  # fmt: skip


CASES = pytest.mark.parametrize(
    ("make", "machine"),
    [(windows, MACHINE), (segments, MACHINE), (segments, STILL), (segments, BOUND)],
    ids=["sliding", "still", "not dynamic", "no interdigitation"],
)


@pytest.mark.parametrize("make", [windows, segments])
def test_gradient_by_all_unknowns_is_that_of_differences(make):
    search = _Search(make(MACHINE), MACHINE, OPERATOR, problem(), None, None)
    settings = LeafSettings(speed_importance=0.5, slowest_rate_share=1.0)
    rng = np.random.default_rng(1)
    sides = zip(*(motion.bounds(settings) for motion in search.motions), strict=True)
    low, high = (np.concatenate(side) for side in sides)
    unknowns = rng.uniform(0.7 * low, 0.6 * high)
    _, gradient = search._evaluate(unknowns, 1.0, settings)
    for _ in range(6):
        way = rng.normal(size=search.n_unknowns)
        step = 1e-6
        after, before = (
            search._evaluate(unknowns + sign * step * way, 1.0, settings)[0] for sign in (1, -1)
        )
        assert gradient @ way == pytest.approx((after - before) / (2 * step), rel=2e-5)


@CASES
def test_the_objective_of_the_delivered_dose_falls(make, machine):
    given, settings = make(machine), LeafSettings()
    check_deliverable(given, machine)
    found = refine_leaves(given, machine, OPERATOR, problem(), settings=settings)
    check_deliverable(found.plan, machine)
    before = problem().value_by_dose(delivered_dose(given, machine, OPERATOR))[0]
    after = problem().value_by_dose(delivered_dose(found.plan, machine, OPERATOR))[0]
    assert found.objective_before == pytest.approx(before, rel=1e-9)
    assert found.objective_after == pytest.approx(after, rel=1e-9)
    assert after < 0.7 * before
    assert 0.0 < found.largest_move_mm <= 2 * settings.max_move_mm + 0.01
    assert found.n_evaluations <= settings.max_evaluations + 20


def test_still_segments_stay_still_and_get_metersets_of_their_own():
    given = segments(STILL)
    found = refine_leaves(given, STILL, OPERATOR, problem(), settings=LeafSettings())
    for beam in found.plan.beams:
        points = beam.control_points
        for start, end in zip(points[::2], points[1::2], strict=True):
            assert np.array_equal(start.leaf_positions_mm, end.leaf_positions_mm)
    shares = [p.cumulative_weight for p in found.plan.beams[0].control_points]
    assert shares[1] != pytest.approx(0.3, abs=1e-3)


def test_leaves_that_must_go_faster_slow_the_beam_down():
    # The sweep of 60 mm in 9 s leaves little room.
    slow = replace(MACHINE, mlc=replace(MACHINE.mlc, leaf_speed_max_mm_s=7.0))
    given = windows(slow)
    check_deliverable(given, slow)
    hasty = LeafSettings(speed_importance=0.0)
    calm = LeafSettings(speed_importance=0.1, slowest_rate_share=0.9)
    slowest = []
    for settings in (hasty, calm):
        found = refine_leaves(given, slow, OPERATOR, problem(), settings=settings)
        check_deliverable(found.plan, slow)
        full = slow.dose_rate_mu_min
        slowest.append(min(beam.dose_rate_mu_min or full for beam in found.plan.beams))
    assert slowest[0] < 0.7 * full < slowest[1]


def test_a_background_is_what_leaves_work_against():
    given = segments(MACHINE)
    extra = np.zeros(OPERATOR.n_points)
    extra[CORE] = 0.5
    core = problem().terms[2]

    def core_value(background):
        found = refine_leaves(
            given, MACHINE, OPERATOR, problem(), settings=LeafSettings(),
            background_dose_gy=background,
        )  # fmt: skip
        dose = delivered_dose(found.plan, MACHINE, OPERATOR) + extra
        return core.value_and_gradient(dose[CORE])[0]

    assert core_value(extra) < core_value(None)


def test_caps_push_through_their_multipliers():
    given = segments(MACHINE)
    dose = delivered_dose(given, MACHINE, OPERATOR)
    cap = DoseCap("core cap", CORE, float(dose[CORE].max()) * 0.7)
    multipliers = Multipliers.start((cap,), 50.0)
    free = refine_leaves(given, MACHINE, OPERATOR, problem(), settings=LeafSettings())
    held = refine_leaves(
        given, MACHINE, OPERATOR, problem(), settings=LeafSettings(), multipliers=multipliers
    )
    over = [
        multipliers.violation_gy(delivered_dose(found.plan, MACHINE, OPERATOR))
        for found in (free, held)
    ]
    assert over[1] < over[0]


def test_a_plan_that_cannot_be_bettered_comes_back_as_it_is():
    given = segments(MACHINE)
    goal = delivered_dose(given, MACHINE, OPERATOR)
    indices = np.arange(OPERATOR.n_points)
    ones = np.ones(OPERATOR.n_points)
    limit = Overdose("all", indices, ones, float(goal.max()) * 1.001, 1.0)
    found = refine_leaves(
        given, MACHINE, OPERATOR, Problem(OPERATOR, (limit,)), settings=LeafSettings()
    )
    assert found.plan is given
    assert found.objective_after == found.objective_before == 0.0


def test_limits_hold_for_any_unknowns():
    rng = np.random.default_rng(3)
    settings = LeafSettings(max_move_mm=12.0)
    for make, machine in ((windows, MACHINE), (segments, BOUND)):
        given = make(machine)
        motion = LeafMotion.of(given.beams[0], machine)
        low, high = motion.bounds(settings)
        for _ in range(5):
            moved = motion.moved(rng.choice([low, high, rng.uniform(low, high)], axis=0))
            check_deliverable(replace(given, beams=(moved,)), machine)


def test_a_beam_that_the_operator_does_not_have_is_refused():
    given = segments(MACHINE)
    other = replace(given.beams[0], geometry=geometry(45.0))
    with pytest.raises(InputError, match="G045: the dose operator has no beam of its direction"):
        delivered_dose(replace(given, beams=(other,)), MACHINE, OPERATOR)


def test_a_background_with_holes_is_refused():
    with pytest.raises(InputError, match="finite background dose"):
        refine_leaves(
            segments(MACHINE), MACHINE, OPERATOR, problem(), settings=LeafSettings(),
            background_dose_gy=np.full(OPERATOR.n_points, np.nan),
        )  # fmt: skip


@pytest.mark.parametrize(
    "wrong", [{"max_move_mm": 0.0}, {"max_meterset_share": 1.0}, {"slowest_rate_share": 0.0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="settings of the leaf refinement"):
        LeafSettings(**wrong)
