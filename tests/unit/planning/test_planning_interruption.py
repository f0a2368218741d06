"""An interrupted course: deficit, ways to go on, organs that decide; numbers by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import (
    Course,
    Dose,
    DoseScope,
    Goal,
    Prescription,
    RecordGrade,
    RecoveryBasis,
)
from rerad.errors import InputError, MissingDataError
from rerad.evaluation import dvh, evaluate_metric
from rerad.planning.budget import OrganLimit
from rerad.planning.interrupted_organs import organs_at_points
from rerad.planning.interruption import (
    InterruptedPlan,
    new_plan_option,
    residual_course,
    solve_interruption,
)
from rerad.radiobiology import bed, eqd2, time_factor_for, to_eqd2
from rerad.structures import EndSlab, rasterize


@pytest.fixture(scope="module")
def scene(make_inputs, structures):
    inputs = make_inputs()
    grid = inputs.image.grid
    mask = rasterize(structures["SacralPlex_R"], grid)
    goal = Goal(
        "SacralPlex_R",
        "D0.1cc",
        DoseScope.CUMULATIVE,
        "Gy",
        at_most=70.0,
        alpha_beta_gy=2.0,
        recovery_basis=RecoveryBasis.RAW,
    )
    prior = to_eqd2(
        Dose(np.full(grid.shape, 45.0), grid), n_fractions_planned=25, alpha_beta_gy=2.0
    )
    return grid, {"SacralPlex_R": mask}, OrganLimit("SacralPlex_R", goal, 0.0, prior)


def solve(stopped, limits, regions, *, n_choices, **words):
    """Return the ways to go on with organs read at their points."""
    organs = organs_at_points(stopped, limits, regions, end_slab=EndSlab.FLAT, **words)
    return solve_interruption(stopped, organs, n_choices=n_choices)


def course(gy=40.0):
    return Course("Course 2", "", "", (Prescription("PTV_4000", gy),), 22, None)


def plan(grid, share=1.0, **changes):
    made = InterruptedPlan(course(), 15, Dose(np.full(grid.shape, 40.0 * share), grid), 10.0)
    return replace(made, **changes)


def test_without_organs_the_published_deficit_is_made_up():
    """40/22 stopped after 15 (27.27 Gy): 47.27 - 32.23 Gy10; seven more of 1.818 Gy."""
    found = solve(InterruptedPlan(course(), 15, None, 10.0), [], {}, n_choices=(7, 5, 1))
    assert found.bed_prescribed_gy == pytest.approx(47.27, abs=0.005)
    assert found.bed_deficit_gy == pytest.approx(47.2727 * 7 / 22, abs=1e-3)
    stop, same, seven, five, one = found.options
    assert stop.coverage_percent == pytest.approx(100 * 15 / 22)
    assert same.coverage_percent == pytest.approx(100)
    assert seven.fraction_gy == pytest.approx(40 / 22)
    for option in (five, one):
        more = bed(option.n_fractions * option.fraction_gy, option.n_fractions, 10.0)
        assert found.bed_given_gy + more == pytest.approx(found.bed_prescribed_gy)
        assert option.limited_by == ""
    assert stop.fraction_gy == 0
    assert dict(five.levels_gy)["PTV_4000"] == pytest.approx(40 * 15 / 22 + 5 * five.fraction_gy)


def test_an_organ_decides_and_the_target_pays(scene):
    """Plexus at full dose: 42.75 + 15 of 22 fractions of 38.18 Gy; 70 Gy leave 1.2 Gy EQD2."""
    grid, masks, limit = scene
    found = solve(plan(grid), [limit], masks, n_choices=(7, 3))
    stop, same, seven, three = found.options
    had = 42.75 + 38.1818 * 15 / 22
    assert stop.organs[0].value_gy == pytest.approx(had, abs=0.01)
    assert stop.is_within_limits is True
    assert same.is_within_limits is False
    assert same.organs[0].value_gy == pytest.approx(42.75 + 38.1818, abs=0.01)
    for option in (seven, three):
        assert option.limited_by == "SacralPlex_R"
        more = eqd2(option.n_fractions * option.fraction_gy, option.n_fractions, 2.0)
        assert had + more == pytest.approx(70.0, abs=0.01)
        assert option.coverage_percent < 100


def test_a_new_direction_of_dose_spares_the_organ(scene):
    """The same limit with the organ at half the prescription: the tumour decides again."""
    grid, masks, limit = scene
    found = solve(plan(grid, share=0.5), [limit], masks, n_choices=(7,))
    assert found.options[-1].limited_by == ""
    assert found.options[-1].coverage_percent == pytest.approx(100)


def test_an_accepted_organ_is_shown_and_does_not_decide(scene):
    grid, masks, limit = scene
    found = solve(plan(grid), [limit], masks, n_choices=(7,), accepted=frozenset({"SacralPlex_R"}))
    assert found.options[-1].limited_by == ""
    assert found.options[-1].is_within_limits is False


def test_time_is_counted_only_with_a_factor(scene):
    grid, _, _ = scene
    factor = time_factor_for("larynx")
    late = plan(grid, factor=factor, gap_days=14)
    found = solve(late, [], {}, n_choices=(7,))
    plain = solve(plan(grid, gap_days=14), [], {}, n_choices=(7,))
    assert found.options[-1].fraction_gy > plain.options[-1].fraction_gy
    assert found.options[1].coverage_percent < 100  # same fractions, two weeks late
    assert "no-time-factor" in {f.code for f in plain.findings}
    assert "no-time-factor" not in {f.code for f in found.findings}


def test_unknown_earlier_dose_stays_unknown(scene):
    grid, masks, limit = scene
    unknown = Dose(np.full(grid.shape, np.nan), grid, limit.prior.quantity, 2.0)
    found = solve(plan(grid), [replace(limit, prior=unknown)], masks, n_choices=(7,))
    assert math.isnan(found.options[0].organs[0].value_gy)
    assert found.options[0].is_within_limits is None
    assert found.options[-1].limited_by == ""
    # What is known all the same is not lost: 15 fractions of this course were given.
    given = pytest.approx(38.1818 * 15 / 22, abs=0.01)
    assert found.options[0].organs[0].at_least_gy == given
    bound = replace(limit, prior=unknown, grade=RecordGrade.DVH_OR_POINTS)
    found = solve(plan(grid), [bound], masks, n_choices=(7,))
    assert found.options[0].organs[0].at_least_gy == given
    low = replace(bound, goal=replace(bound.goal, at_most=20.0))
    found = solve(plan(grid), [low], masks, n_choices=(7,))
    assert found.options[0].is_within_limits is False


def test_without_the_plan_every_organ_has_the_prescription(scene):
    grid, masks, limit = scene
    found = solve(plan(grid, dose=None), [limit], masks, n_choices=(7,))
    assert "organs-at-full-prescription" in {f.code for f in found.findings}
    assert found.options[-1].limited_by == "SacralPlex_R"


def test_the_course_that_is_left(scene):
    grid, masks, limit = scene
    stopped = plan(grid)
    found = solve(stopped, [limit], masks, n_choices=(5,))
    rest = residual_course(stopped, found.options[-1])
    assert rest.n_fractions_planned == 5
    assert rest.prescriptions[0].dose_gy == pytest.approx(5 * found.options[-1].fraction_gy)
    with pytest.raises(InputError, match="nothing is left"):
        residual_course(stopped, found.options[0])


def test_bad_requests_are_refused(scene):
    grid, _, _ = scene
    with pytest.raises(InputError, match="1 or more"):
        solve(plan(grid), [], {}, n_choices=())
    with pytest.raises(InputError, match="fewer than the 22 planned fractions"):
        solve(plan(grid, n_delivered=22), [], {}, n_choices=(1,))
    blank = replace(course(), n_fractions_planned=None)
    with pytest.raises(MissingDataError, match="planned fractions"):
        solve(plan(grid, course=blank), [], {}, n_choices=(1,))
    with pytest.raises(InputError, match="nothing was interrupted"):
        solve(plan(grid, n_delivered=0), [], {}, n_choices=(1,))
    with pytest.raises(InputError, match="nothing is left"):
        solve(plan(grid, n_delivered=22, partial_fractions=(0.5,)), [], {}, n_choices=(1,))


def test_the_record_of_the_published_case_decides_for_the_tumour(scene):
    """27 Gy in 15, not 27.27: 15.41 Gy10 are missing; 7 x 1.857, 5 x 2.472, 4 x 2.971, 1 x 8.38.

    Numbers worked out in the collection of facts, section 0, lesson 6.
    """
    grid, masks, limit = scene
    stopped = plan(grid, recorded_gy=27.0)
    found = solve(stopped, [limit], masks, n_choices=(7, 5, 4, 1), accepted={"SacralPlex_R"})
    assert found.bed_deficit_gy == pytest.approx(15.41, abs=0.005)
    doses = [option.fraction_gy for option in found.options[2:]]
    assert doses == pytest.approx([1.857, 2.472, 2.971, 8.38], abs=5e-3)
    totals = [option.n_fractions * option.fraction_gy for option in found.options[2:]]
    assert totals == pytest.approx([13.0, 12.36, 11.88, 8.38], abs=5e-3)
    assert "delivered-dose-differs" in {f.code for f in found.findings}
    # The organ keeps the planned fraction, which is larger: 15 of 22 of 38.18 Gy.
    assert found.options[0].organs[0].value_gy == pytest.approx(
        42.75 + 38.1818 * 15 / 22, abs=0.01
    )
    more = plan(grid, recorded_gy=30.0)
    state = solve(more, [limit], masks, n_choices=(7,)).options[0].organs[0]
    assert state.value_gy == pytest.approx(42.75 + eqd2(30.0, 15, 2.0), abs=0.01)


def test_a_broken_fraction_counts_with_its_own_smaller_dose(scene):
    """13 and a half: 13 x 1.818 Gy and once 0.909 Gy, eight planned fractions untouched."""
    grid, masks, limit = scene
    stopped = plan(grid, n_delivered=13, partial_fractions=(0.5,))
    found = solve(stopped, [limit], masks, n_choices=(8,))
    each = 40 / 22
    assert found.bed_given_gy == pytest.approx(bed(13 * each, 13, 10.0) + bed(each / 2, 1, 10.0))
    had = 42.75 + eqd2(13 * each, 13, 2.0) + eqd2(each / 2, 1, 2.0)
    assert found.options[0].organs[0].value_gy == pytest.approx(had, abs=0.01)
    assert found.options[1].n_fractions == 8
    assert dict(found.options[1].levels_gy)["PTV_4000"] == pytest.approx(21.5 * each)
    assert "fractions-broken-off" in {f.code for f in found.findings}
    # Half of a fraction is less than half of its EQD2: scaling its dose is not scaling its count.
    assert found.options[0].organs[0].value_gy < 42.75 + 13.5 * eqd2(each, 1, 2.0)


def test_organs_are_read_as_every_histogram_is(scene, structures):
    """A gradient across the organ: its D0.1cc is that of the DVH of the converted sum."""
    grid, _, limit = scene
    ramp = np.broadcast_to(40.0 + 0.4 * grid.axes_mm[0], grid.shape)
    stopped = plan(grid, dose=Dose(ramp, grid))
    found = solve(stopped, [limit], {"SacralPlex_R": structures["SacralPlex_R"]}, n_choices=(3,))
    given = stopped.given_eqd2(stopped.dose, 2.0)
    drawn = structures["SacralPlex_R"]
    expected = evaluate_metric("D0.1cc", dvh(limit.prior + given, drawn))
    assert found.options[0].organs[0].value_gy == pytest.approx(expected, abs=1e-3)
    three = found.options[-1]
    scale = three.fraction_gy / stopped.fraction_gy
    more = to_eqd2(stopped.dose.scaled(3 * scale / 22), n_fractions_planned=3, alpha_beta_gy=2.0)
    expected = evaluate_metric("D0.1cc", dvh(limit.prior + given + more, drawn))
    assert three.organs[0].value_gy == pytest.approx(expected, abs=1e-3)
    made = new_plan_option(found, 3, {"PTV_4000": 6.0}, stopped.dose.scaled(3 * scale / 22))
    assert made.organs[0].value_gy == pytest.approx(expected, abs=1e-3)
    assert made.fraction_gy == pytest.approx(2.0)
    assert made.tumor_bed_gy == pytest.approx(found.bed_given_gy + bed(6.0, 3, 10.0))


def test_a_course_that_is_missing_leaves_no_limit_kept(scene):
    grid, masks, limit = scene
    found = solve(plan(grid, share=0.2), [limit], masks, n_choices=(7,), is_lower_bound=True)
    assert found.options[0].organs[0].is_within is None
    assert found.options[0].is_within_limits is None
    high = replace(limit, goal=replace(limit.goal, at_most=40.0))
    found = solve(plan(grid, share=0.2), [high], masks, n_choices=(7,), is_lower_bound=True)
    assert found.options[0].is_within_limits is False
    assert found.options[-1].is_nothing
