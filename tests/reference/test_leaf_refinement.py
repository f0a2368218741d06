"""Leaf refinement on dose in water: what it says it wins is there in the final dose."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from rerad.core import (
    BeamGeometry,
    Grid,
    Image,
    ImageUnit,
    Modality,
    PatientPosition,
    Plan,
    Prescription,
)
from rerad.dosecalc import (
    Engine,
    FinalDoseSettings,
    build_operator,
    final_dose,
    load_machine,
    make_bixel_grid,
    split_fluence,
)
from rerad.optimize import Overdose, Problem, SolveSettings, Underdose, solve
from rerad.optimize.leaf_motion import LeafSettings
from rerad.optimize.leaf_positions import delivered_dose, refine_leaves
from rerad.sequencing import (
    SequenceSettings,
    StepAndShootSettings,
    check_deliverable,
    sequence_sliding_window,
    sequence_step_and_shoot,
)

N_FRACTIONS = 20
GRID = Grid((20, 28, 28), (-67.5, -67.5, -47.5), (5.0, 5.0, 5.0), "1.2.3")
MACHINE = load_machine("generic_6mv")
STILL = replace(MACHINE, mlc=replace(MACHINE.mlc, is_dynamic=False))


@pytest.fixture(scope="module")
def case():
    """A U round a core in a cylinder of water, five beams, optimised fluence."""
    z, y, x = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
    radius = np.hypot(x, y)
    target = (radius > 12) & (radius < 30) & (y < 5) & (np.abs(z) < 20)
    core = (radius < 9) & (np.abs(z) < 25)
    rest = (radius < 60) & ~target & ~core & (np.abs(z) < 30)
    density = np.where(radius < 65, 1.0, 0.0012).astype(np.float32)
    image = Image(density, GRID, Modality.CT, ImageUnit.DENSITY)
    parts = (target, core, rest)
    indices = np.flatnonzero(np.any(parts, axis=0))
    where = [np.searchsorted(indices, np.flatnonzero(part)) for part in parts]
    bixels = [
        make_bixel_grid(
            BeamGeometry(f"G{angle:03.0f}", angle, 0.0, 0.0, (0.0, 0.0, 0.0)),
            MACHINE,
            GRID.points(np.argwhere(target)),
            margin_mm=5.0,
            column_width_mm=5.0,
            position=PatientPosition.HFS,
        )
        for angle in (0.0, 72.0, 144.0, 216.0, 288.0)
    ]
    operator = build_operator(MACHINE, image, indices, GRID, bixels, PatientPosition.HFS)
    shares = [np.ones(len(place)) for place in where]
    terms = (
        Underdose("target", where[0], shares[0], 40.0, 1000.0),
        Overdose("target max", where[0], shares[0], 42.0, 1000.0),
        Overdose("core", where[1], shares[1], 18.0, 60.0),
        Overdose("rest", where[2], shares[2], 30.0, 10.0),
    )
    problem = Problem(operator, terms)
    found = solve(problem, SolveSettings(max_evaluations=60))
    return image, indices, operator, problem, found.fluence_mu


def plan_of(operator, fluence_mu, machine, make_beams):
    beams = []
    for fluence in split_fluence(operator.bixel_grids, fluence_mu):
        beams += make_beams(
            fluence, machine, n_fractions=N_FRACTIONS, first_beam_number=len(beams) + 1
        )
    return Plan(
        "test", "1.2.3", PatientPosition.HFS, machine.name, N_FRACTIONS,
        (Prescription("target", 40.0),), tuple(beams),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("machine", "make_beams"),
    [
        (MACHINE, partial(sequence_sliding_window, settings=SequenceSettings())),
        (STILL, partial(sequence_step_and_shoot, settings=StepAndShootSettings())),
    ],
    ids=["sliding window", "still"],
)
def test_the_objective_falls_in_the_final_dose_too(case, machine, make_beams):
    image, indices, operator, problem, fluence_mu = case
    engine = FinalDoseSettings(engine=Engine.PENCIL_BEAM)

    def final(plan):
        values = final_dose(plan, machine, image, GRID, settings=engine).values
        return values.ravel()[indices].astype(float)

    given = plan_of(operator, fluence_mu, machine, make_beams)
    before = final(given)
    found = refine_leaves(
        given, machine, operator, problem,
        settings=LeafSettings(max_evaluations=40),
        background_dose_gy=before - delivered_dose(given, machine, operator),
    )  # fmt: skip
    check_deliverable(found.plan, machine)
    value = problem.value_by_dose
    assert found.objective_before == pytest.approx(value(before)[0], rel=1e-6)
    assert found.objective_after < 0.6 * found.objective_before
    # The difference of the doses was that of the plan given, so not all of the gain is real.
    assert value(final(found.plan))[0] < 0.6 * found.objective_before
