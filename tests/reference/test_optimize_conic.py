"""The optimiser against an interior-point solver on a reduced plan of the real dose operator.

Clarabel (Goulart & Chen 2024, arXiv:2405.12762) solves the same problem to 1e-8 as a quadratic
programme with a slack for every voxel of an objective, with the cumulative caps as constraints.
"""

import numpy as np
import pytest
from scipy import sparse

from rerad.core import BeamGeometry, Grid, Image, ImageUnit, Modality, PatientPosition
from rerad.dosecalc import build_operator, load_machine, make_bixel_grid
from rerad.dosecalc.beamlet_columns import beamlet_columns
from rerad.optimize import DoseCap, Overdose, Problem, SolveSettings, Underdose, solve
from rerad.radiobiology import eqd2, physical_from_eqd2

clarabel = pytest.importorskip("clarabel", reason="the exact solver is not installed")

N_FRACTIONS, ALPHA_BETA_GY, LIMIT_EQD2_GY = 22, 2.0, 67.0


def reduced_plan(seed: int):
    """Return operator, target, organ and other voxels of a target beside an irradiated organ."""
    grid = Grid((6, 20, 20), (-71.25, -71.25, -18.75), (7.5, 7.5, 7.5), "1.2")
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    body = np.hypot(x, y) < 68
    density = Image(body.astype(np.float32), grid, Modality.CT, ImageUnit.DENSITY)
    angle = 0.7 * seed
    across = np.cos(angle) * x + np.sin(angle) * y
    along = -np.sin(angle) * x + np.cos(angle) * y
    target = (np.abs(across) < 20) & (np.abs(along) < 18) & (np.abs(z) < 15)
    organ = (across >= 20) & (across < 40) & (np.abs(along) < 25) & (np.abs(z) < 20)
    rest = body & ~target & ~organ & (np.hypot(x, y) < 60)
    rest &= np.random.default_rng(seed).random(rest.shape) < 0.3
    used = np.flatnonzero(target | organ | rest)
    place = np.full(grid.n_voxels, -1)
    place[used] = np.arange(len(used))
    machine = load_machine("generic_6mv")
    points = grid.points(np.argwhere(target))
    bixels = [
        make_bixel_grid(
            BeamGeometry(f"G{gantry}", gantry, 0.0, 0.0, (0.0, 0.0, 0.0)),
            machine,
            points,
            margin_mm=2.0,
            column_width_mm=10.0,
            position=PatientPosition.HFS,
        )
        for gantry in (10.0, 130.0, 250.0)
    ]
    operator = build_operator(machine, density, used, grid, bixels, PatientPosition.HFS)
    parts = [place[np.flatnonzero(part)] for part in (target, organ, rest)]
    return operator, parts, across.ravel()[used]


def problem_of(operator, parts, across):
    """Return the plan's problem: coverage, fall-off, and cumulative caps on the organ."""
    target, organ, rest = parts
    prior = 25.0 + 0.8 * (across[organ] - 20.0)
    left = LIMIT_EQD2_GY - prior
    caps = physical_from_eqd2(left, n_fractions=N_FRACTIONS, alpha_beta_gy=ALPHA_BETA_GY)
    terms = (
        Underdose("low", target, np.ones(len(target)), 50.0, 100.0),
        Overdose("high", target, np.ones(len(target)), 53.0, 50.0),
        Overdose("rest", rest, np.ones(len(rest)), 15.0, 5.0, scale_gy=50.0),
    )
    return Problem(operator, terms, caps=(DoseCap("organ", organ, np.asarray(caps)),)), prior


def exact_objective(problem: Problem, matrix: sparse.csr_array) -> float:
    """Return the optimum by Clarabel; unknowns in Gy at their maxima, objective times a thousand.

    Interior points want numbers of like size; monitor units and shares of a volume are not.
    """
    matrix = sparse.csr_array(matrix.astype(np.float64) / float(matrix.max()))
    blocks, limits, weights, signs = [], [], [], []
    for term in problem.terms:
        sign = -1.0 if isinstance(term, Underdose) else 1.0
        scale = term.dose_gy if isinstance(term, Underdose) else term.scale_gy
        blocks.append(sign * matrix[term.indices])
        limits.append(sign * np.broadcast_to(term.dose_gy, len(term.indices)))
        weights.append(1e3 * term.importance / float(scale) ** 2 * term.weights)
        signs.append(sign)
    rows = sparse.vstack(blocks)
    n_slacks, n_x = rows.shape
    cap = problem.caps[0]
    identity = sparse.eye_array(n_slacks)
    constraints = sparse.block_array(
        [
            [rows, -identity],
            [matrix[cap.indices], None],
            [-sparse.eye_array(n_x), None],
            [None, -identity],
        ],
        format="csc",
    )
    bounds = np.concatenate(
        [np.concatenate(limits), cap.max_dose_gy, np.zeros(n_x), np.zeros(n_slacks)]
    )
    hessian = sparse.diags_array(np.concatenate([np.zeros(n_x), 2.0 * np.concatenate(weights)]))
    settings = clarabel.DefaultSettings()
    settings.verbose = False
    solver = clarabel.DefaultSolver(
        sparse.csc_matrix(hessian),
        np.zeros(n_x + n_slacks),
        sparse.csc_matrix(constraints),
        bounds,
        [clarabel.NonnegativeConeT(len(bounds))],
        settings,
    )
    found = solver.solve()
    assert str(found.status) == "Solved"
    return 1e-3 * float(found.obj_val)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_caps_and_objective_are_those_of_an_exact_solver(seed: int) -> None:
    operator, parts, across = reduced_plan(seed)
    problem, prior = problem_of(operator, parts, across)
    columns = beamlet_columns(operator, threshold=0.0)
    best = exact_objective(problem, sparse.csr_array(columns.matrix))
    solution = solve(problem, SolveSettings(max_evaluations=2000))
    assert solution.is_converged
    assert solution.objective == pytest.approx(best, rel=5e-3)
    given = eqd2(np.maximum(solution.dose_gy[parts[1]], 0.0), N_FRACTIONS, ALPHA_BETA_GY)
    assert np.max(prior + given) <= LIMIT_EQD2_GY + 0.03
    # the caps bind: without them the organ would get more
    free = solve(Problem(operator, problem.terms), SolveSettings())
    assert np.max(free.dose_gy[parts[1]] - problem.caps[0].max_dose_gy) > 1.0
