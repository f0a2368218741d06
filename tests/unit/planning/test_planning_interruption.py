"""An interrupted course: deficit, ways to go on, organs that decide; numbers by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Course, Dose, DoseScope, Goal, Prescription, RecoveryBasis
from rerad.errors import InputError, MissingDataError
from rerad.planning.budget import OrganLimit
from rerad.planning.interruption import (
    InterruptedPlan,
    residual_course,
    solve_interruption,
)
from rerad.radiobiology import bed, eqd2, time_factor_for, to_eqd2
from rerad.structures import rasterize


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


def course(gy=40.0):
    return Course("Course 2", "", "", (Prescription("PTV_4000", gy),), 22, None)


def plan(grid, share=1.0, **changes):
    made = InterruptedPlan(course(), 15, Dose(np.full(grid.shape, 40.0 * share), grid), 10.0)
    return replace(made, **changes)


def test_without_organs_the_published_deficit_is_made_up():
    """40/22 stopped after 15 (27.27 Gy): 47.27 - 32.23 Gy10; seven more of 1.818 Gy."""
    found = solve_interruption(
        InterruptedPlan(course(), 15, None, 10.0), [], {}, n_choices=(7, 5, 1)
    )
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
    found = solve_interruption(plan(grid), [limit], masks, n_choices=(7, 3))
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
    found = solve_interruption(plan(grid, share=0.5), [limit], masks, n_choices=(7,))
    assert found.options[-1].limited_by == ""
    assert found.options[-1].coverage_percent == pytest.approx(100)


def test_an_accepted_organ_is_shown_and_does_not_decide(scene):
    grid, masks, limit = scene
    found = solve_interruption(
        plan(grid), [limit], masks, n_choices=(7,), accepted=frozenset({"SacralPlex_R"})
    )
    assert found.options[-1].limited_by == ""
    assert found.options[-1].is_within_limits is False


def test_time_is_counted_only_with_a_factor(scene):
    grid, _, _ = scene
    factor = time_factor_for("larynx")
    late = plan(grid, factor=factor, gap_days=14)
    found = solve_interruption(late, [], {}, n_choices=(7,))
    plain = solve_interruption(plan(grid, gap_days=14), [], {}, n_choices=(7,))
    assert found.options[-1].fraction_gy > plain.options[-1].fraction_gy
    assert found.options[1].coverage_percent < 100  # same fractions, two weeks late
    assert "no-time-factor" in {f.code for f in plain.findings}
    assert "no-time-factor" not in {f.code for f in found.findings}


def test_unknown_earlier_dose_stays_unknown(scene):
    grid, masks, limit = scene
    unknown = Dose(np.full(grid.shape, np.nan), grid, limit.prior.quantity, 2.0)
    found = solve_interruption(plan(grid), [replace(limit, prior=unknown)], masks, n_choices=(7,))
    assert math.isnan(found.options[0].organs[0].value_gy)
    assert found.options[0].is_within_limits is None
    assert found.options[-1].limited_by == ""


def test_without_the_plan_every_organ_has_the_prescription(scene):
    grid, masks, limit = scene
    found = solve_interruption(plan(grid, dose=None), [limit], masks, n_choices=(7,))
    assert "organs-at-full-prescription" in {f.code for f in found.findings}
    assert found.options[-1].limited_by == "SacralPlex_R"


def test_the_course_that_is_left(scene):
    grid, masks, limit = scene
    stopped = plan(grid)
    found = solve_interruption(stopped, [limit], masks, n_choices=(5,))
    rest = residual_course(stopped, found.options[-1])
    assert rest.n_fractions_planned == 5
    assert rest.prescriptions[0].dose_gy == pytest.approx(5 * found.options[-1].fraction_gy)
    with pytest.raises(InputError, match="nothing is left"):
        residual_course(stopped, found.options[0])


def test_bad_requests_are_refused(scene):
    grid, _, _ = scene
    with pytest.raises(InputError, match="1 or more"):
        solve_interruption(plan(grid), [], {}, n_choices=())
    with pytest.raises(InputError, match="at least one fraction given"):
        solve_interruption(plan(grid, n_delivered=22), [], {}, n_choices=(1,))
    blank = replace(course(), n_fractions_planned=None)
    with pytest.raises(MissingDataError, match="planned fractions"):
        solve_interruption(plan(grid, course=blank), [], {}, n_choices=(1,))
