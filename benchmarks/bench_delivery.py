"""What leaves lose and leaf refinement wins back, on the TG-119 C-shape in water.

Command, from a checkout after `make environment`::

    .venv/bin/python benchmarks/bench_delivery.py

Nine beams, one optimised fluence. Its objective is compared with that of the fluence rounded to
levels, of the leaves' dose (transmission, leaf gap, jaws, tongue and groove), and of the same
after `refine_leaves`; times are processor time of one thread. `--final` refines twice with the
difference to the final dose as background and reports the objective of the final dose.
"""

import argparse
import os
import re
import time
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

N_FRACTIONS, N_BEAMS, COLUMN_MM = 25, 9, 5.0
LEVELS, SEGMENTS = (5, 7, 10, 15, 20, 30), (3, 5, 12)
RATES_MU_MIN = (600.0, 300.0, 150.0)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--machine", default="generic_6mv")
    parser.add_argument("--grid", type=float, default=5.0, help="voxel size, mm")
    parser.add_argument("--evaluations", type=int, default=60)
    parser.add_argument("--only", default="", help="rows whose name this pattern finds")
    parser.add_argument("--final", choices=("pencil-beam", "collapsed-cone"))
    return parser.parse_args()


@dataclass(frozen=True, eq=False)
class Case:
    """Everything that stays the same."""

    machine: object
    density: object
    grid: object
    indices: np.ndarray
    operator: object
    problem: object
    fluence_mu: np.ndarray
    target: np.ndarray
    core: np.ndarray


def make_case(machine_name: str, voxel_mm: float) -> Case:
    """Optimise the fluence of the C-shape."""
    from rerad import core, dosecalc, optimize
    from rerad.phantoms import make_c_shape

    machine = dosecalc.load_machine(machine_name)
    image = make_c_shape("1.2.3", in_plane_mm=voxel_mm, slice_mm=voxel_mm).image
    density = core.Image(
        np.clip(1.0 + image.values / 1000.0, 0.0012, None).astype(np.float32),
        image.grid, core.Modality.CT, core.ImageUnit.DENSITY,
    )  # fmt: skip
    z, y, x = np.meshgrid(*image.grid.axes_mm[::-1], indexing="ij")
    radius, angle = np.hypot(x, y), np.abs(np.rad2deg(np.arctan2(x, -y)))
    target = (radius >= 15) & (radius <= 37) & (angle <= 102) & (np.abs(z) < 40)
    middle = (radius <= 10) & (np.abs(z) < 50)
    body = (np.abs(x) < 150) & (np.abs(y) < 75) & (np.abs(z) < 140) & ~target & ~middle
    near = body & (radius < 60) & (np.abs(z) < 60)
    far = body & ~near & (np.random.default_rng(0).random(body.shape) < 0.05)
    parts = (target, middle, near, far)
    indices = np.flatnonzero(np.any(parts, axis=0))
    places = [np.searchsorted(indices, np.flatnonzero(part)) for part in parts]
    shares = [np.ones(len(place)) for place in places]
    grids = [
        dosecalc.make_bixel_grid(
            core.BeamGeometry(f"G{angle:03.0f}", angle, 0.0, 0.0, (0.0, 0.0, 0.0)),
            machine, image.grid.points(np.argwhere(target)), margin_mm=5.0,
            column_width_mm=COLUMN_MM, position=core.PatientPosition.HFS,
        )
        for angle in np.arange(N_BEAMS) * 360.0 / N_BEAMS
    ]  # fmt: skip
    operator = dosecalc.build_operator(
        machine, density, indices, image.grid, grids, core.PatientPosition.HFS
    )
    terms = (
        optimize.Underdose("target", places[0], shares[0], 50.0, 1000.0),
        optimize.Overdose("target max", places[0], shares[0], 52.0, 925.0),
        optimize.Overdose("core", places[1], shares[1], 10.0, 60.0),
        optimize.Overdose("near", places[2], shares[2], 20.0, 20.0),
        optimize.Overdose("far", places[3], shares[3], 15.0, 10.0),
    )
    problem = optimize.Problem(operator, terms)
    smooth = optimize.FluenceSmoothness(
        "smooth", operator.bixel_grids, optimize.uniform_start_mu(problem), 0.5
    )
    found = optimize.solve(replace(problem, fluence_terms=(smooth,)), optimize.SolveSettings())
    return Case(
        machine, density, image.grid, indices, operator, problem, found.fluence_mu,
        places[0], places[1],
    )  # fmt: skip


def plan_of(case: Case, machine, make_beams):
    """Sequence every beam."""
    from rerad import core, dosecalc

    beams = []
    for fluence in dosecalc.split_fluence(case.operator.bixel_grids, case.fluence_mu):
        beams.extend(
            make_beams(fluence, machine, n_fractions=N_FRACTIONS, first_beam_number=len(beams) + 1)
        )
    prescriptions = (core.Prescription("target", 50.0),)
    return core.Plan(
        "bench", "1.2.3", core.PatientPosition.HFS, machine.name, N_FRACTIONS, prescriptions,
        tuple(beams),
    )  # fmt: skip


def rounded(case: Case, n_levels: int) -> float:
    """Return the objective of the fluence rounded to levels, beam by beam."""
    from rerad.dosecalc import join_fluence, split_fluence

    beams = []
    for fluence in split_fluence(case.operator.bixel_grids, case.fluence_mu):
        unit = fluence.values_mu.max() / n_levels
        beams.append(replace(fluence, values_mu=np.rint(fluence.values_mu / unit) * unit))
    return case.problem.value_by_dose(case.operator.forward(join_fluence(beams)))[0]


def final_at(case: Case, machine, plan, engine: str) -> np.ndarray:
    """Return the final dose at the points of the problem."""
    from rerad.dosecalc import Engine, FinalDoseSettings, final_dose

    settings = FinalDoseSettings(engine=Engine(engine))
    dose = final_dose(plan, machine, case.density, case.grid, settings=settings)
    return dose.values.ravel()[case.indices].astype(float)


def n_stretches(beam) -> int:
    """Count segments, or stretches between control points of a sliding window."""
    shares = np.array([point.cumulative_weight for point in beam.control_points])
    return int(np.count_nonzero(np.diff(shares) > 0))


def report(case: Case, machine, name: str, plan, args: argparse.Namespace) -> None:
    """Print what a plan loses, and what refinement makes of it."""
    from rerad.optimize.leaf_motion import LeafSettings
    from rerad.optimize.leaf_positions import delivered_dose, refine_leaves
    from rerad.sequencing import check_deliverable

    if re.search(args.only, name) is None:
        return
    settings = LeafSettings(max_evaluations=args.evaluations)
    value = case.problem.value_by_dose
    before, background, seconds = None, None, 0.0
    best, stretches = plan, sum(n_stretches(beam) for beam in plan.beams)
    for _ in range(2 if args.final else 1):
        seen = delivered_dose(best, machine, case.operator)
        if args.final:
            background = final_at(case, machine, best, args.final) - seen
            seen = seen + background
        before = value(seen)[0] if before is None else before
        start = time.process_time()
        found = refine_leaves(
            best, machine, case.operator, case.problem, settings=settings,
            background_dose_gy=background,
        )  # fmt: skip
        seconds += time.process_time() - start
        best = found.plan
    check_deliverable(best, machine)
    dose = delivered_dose(best, machine, case.operator)
    if args.final:
        dose = final_at(case, machine, best, args.final)
    d95, d50 = np.percentile(dose[case.target], (5, 50))
    slowest = min(beam.dose_rate_mu_min or machine.dose_rate_mu_min for beam in best.beams)
    print(
        f"{name:34s} {stretches:5d} {plan.meterset_mu:6.0f} {before:7.2f} | "
        f"{best.meterset_mu:6.0f} {value(dose)[0]:6.2f} {d95:6.2f} {d50:6.2f} "
        f"{np.percentile(dose[case.core], 90):6.2f} {slowest:5.0f} {seconds:5.1f}",
        flush=True,
    )


def main() -> None:
    """Run the comparison."""
    args = parse()
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    from rerad.sequencing import (
        SequenceSettings,
        StepAndShootSettings,
        sequence_sliding_window,
        sequence_step_and_shoot,
    )

    case = make_case(args.machine, args.grid)
    still = replace(case.machine, mlc=replace(case.machine.mlc, is_dynamic=False))
    bound = replace(still, mlc=replace(still.mlc, is_interdigitation_allowed=False))
    ideal = case.problem.value_by_dose(case.operator.forward(case.fluence_mu))[0]
    print(f"{case.operator.n_beamlets} beamlets, {case.operator.n_points} points")
    print(f"ideal fluence, nothing leaks: objective {ideal:.3f}")
    for n_levels in LEVELS:
        share = 100.0 * (rounded(case, n_levels) / ideal - 1.0)
        print(f"  rounded to {n_levels:2d} levels: {share:+.1f} %")
    print(
        f"{'':34s} {'parts':>5s} {'MU':>6s} {'objec.':>7s} | "
        f"{'MU':>6s} {'refin.':>6s} {'D95':>6s} {'D50':>6s} {'coreD10':>6s} {'rate':>5s} {'s':>5s}"
    )
    for rate in RATES_MU_MIN:
        settings = SequenceSettings(dose_rate_mu_min=rate)
        make = partial(sequence_sliding_window, settings=settings)
        plan = plan_of(case, case.machine, make)
        report(case, case.machine, f"sliding window, {rate:.0f} MU/min", plan, args)
    kinds = [
        (still, "still", {}),
        (still, "still, tongue and groove", {"avoids_tongue_and_groove": False}),
        (bound, "still, no interdigitation", {}),
    ]
    kinds += [(still, f"still, {n} segments", {"n_segments_max": n}) for n in SEGMENTS]
    kinds += [(still, f"still, {n} levels", {"n_levels": n, "n_segments_max": 99}) for n in LEVELS]
    for machine, name, changes in kinds:
        chosen = replace(StepAndShootSettings(), **changes)
        plan = plan_of(case, machine, partial(sequence_step_and_shoot, settings=chosen))
        report(case, machine, name, plan, args)


if __name__ == "__main__":
    main()
