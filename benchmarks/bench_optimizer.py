"""Time the optimiser on the demo case: from a plain solve to robust plans, Pareto sets, RTPLAN.

Command, from a checkout after `make environment`::

    NUMBA_NUM_THREADS=2 .venv/bin/python benchmarks/bench_optimizer.py --out docs/images

The demo patient's second course on a 3 mm dose grid, nine beams, as `rerad demo` plans it. Every
row is timed once after a short run that compiles; iterations go on until the solver's own
criterion is met, and how each ended is printed. The times of the first five rows and of the Pareto
set are of solving alone, with the dose operator built (its time is a row too). `--skip` leaves
rows out, `--scaling` adds the two plots over beamlets and voxels.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from bench_rerad_cases import Judge, request_for
from bench_scaling import slope
from rerad_cases import Fineness, ReradCase, demo_case, quiet

from rerad.core import DoseScope, Goal
from rerad.planning import Listeners, PlanGoal, PlanRequest, make_plan, run_pipeline
from rerad.planning.plan_task import prepare_task

GOALS_S = {
    "fluence": 1.0,
    "hard caps": 2.0,
    "six levels": 8.0,
    "deliverable": 10.0,
    "robust": 30.0,
    "twenty Pareto plans": 20.0,
    "CT to RTPLAN": 60.0,
}
SHIFT_MM = (3.0, 3.0, 3.0)
"""Set-up error along each axis, and reach of a misregistration (there at least a voxel)."""


def six_goals() -> tuple[Goal, ...]:
    """Return six goals of six priorities, as a clinic might rank them for this patient."""
    plan, eqd2 = DoseScope.PLAN, DoseScope.CUMULATIVE
    return (
        Goal("PTV_4000", "D95%", plan, "Gy", at_least=38.0, priority=1),
        Goal("PTV_3600", "D95%", plan, "Gy", at_least=34.2, priority=2),
        Goal("SacralPlex_L", "D0.1cc", eqd2, "Gy", 50.0, alpha_beta_gy=2.0, priority=3),
        Goal("Bowel_Small", "Dmean", plan, "Gy", 8.0, priority=4),
        Goal("Bladder", "Dmean", plan, "Gy", 5.0, priority=5),
        Goal("Colon_Sigmoid", "Dmean", plan, "Gy", 10.0, priority=6),
    )


def prepared(request: PlanRequest):
    """Return points, operator and problem of a request, as the planner makes them."""
    return prepare_task(request, quiet, Listeners())


def timed(call: Callable[[], object]) -> tuple[object, dict[str, float]]:
    """Return what a call returns, and its wall and processor seconds."""
    began, cpu = time.perf_counter(), time.process_time()
    result = call()
    return result, {"wall_s": time.perf_counter() - began, "cpu_s": time.process_time() - cpu}


class Rows:
    """The rows of the table: each takes the case, times something, says how it ended."""

    def __init__(self, case: ReradCase, arguments: argparse.Namespace) -> None:
        self.case = case
        self.judge = Judge(case)
        self.request = request_for(case, self.judge, "rerad")
        self.evaluations = arguments.evaluations
        self.task, self.setup = timed(lambda: prepared(self.request))
        self.start: np.ndarray | None = None

    def settings(self, **changed: object):
        """Return the solver's settings."""
        from rerad.optimize import SolveSettings

        return SolveSettings(max_evaluations=self.evaluations, **changed)

    def fluence(self) -> tuple[dict, str]:
        """Penalties only, leaves do not leak."""
        from rerad.optimize import solve

        problem = replace(self.task.problem, caps=(), leakage=None)
        found, seconds = timed(lambda: solve(problem, self.settings()))
        return seconds, found.status

    def hard_caps(self) -> tuple[dict, str]:
        """Cumulative limits as hard caps, leaves do not leak."""
        from rerad.optimize import solve

        problem = replace(self.task.problem, leakage=None)
        found, seconds = timed(lambda: solve(problem, self.settings()))
        return seconds, found.status

    def six_levels(self) -> tuple[dict, str]:
        """Six levels of one goal each, under the hard caps."""
        from rerad.optimize import solve_levels

        prescribed = {p.structure: p.dose_gy for p in self.request.course.prescriptions}
        priors = {limit.structure: limit.prior for limit in self.judge.limits}
        goals = tuple(
            PlanGoal(goal, priors.get(goal.structure), prescribed.get(goal.structure, 40.0))
            for goal in six_goals()
        )
        task = prepared(replace(self.request, goals=goals))
        problem = replace(task.problem, leakage=None)
        found, seconds = timed(lambda: solve_levels(problem, task.levels, self.settings()))
        return seconds, f"{len(task.levels)} levels; {found.solution.status}"

    def deliverable(self) -> tuple[dict, str]:
        """Hard caps with leaking leaves, leaf sequence, one refinement; no final engine."""
        from rerad.optimize import LeafSettings, delivered_dose, refine_leaves, solve
        from rerad.planning.leaves import sequence, wanted_fluence

        task, machine = self.task, self.request.machine

        def make() -> tuple[object, object]:
            found = solve(task.problem, self.settings())
            self.start = found.fluence_mu
            wanted = wanted_fluence(
                task.request, task.operator, task.problem.leakage, found.fluence_mu
            )
            plan, _ = sequence(self.request, wanted)
            refined = refine_leaves(
                plan,
                machine,
                task.operator,
                task.problem,
                settings=LeafSettings(),
                multipliers=found.multipliers,
            )
            return found, refined

        (found, refined), seconds = timed(make)
        delivered_gy = delivered_dose(refined.plan, machine, task.operator)
        excess = max(
            float((delivered_gy[cap.indices] - cap.max_dose_gy).max()) for cap in task.problem.caps
        )
        # Terms on the fluence are no part of what the patient gets: dose objectives alone.
        ideal = task.problem.value_by_dose(found.dose_gy)[0]
        delivered = task.problem.value_by_dose(delivered_gy)[0]
        return seconds, (
            f"{found.status}; dose objectives {ideal:.4g} ideal with leakage, {delivered:.4g} by "
            f"the leaves ({100 * (delivered / ideal - 1):+.1f} %), which exceed a cap by at most "
            f"{max(0.0, excess):.2f} Gy before any correction"
        )

    def robust(self) -> tuple[dict, str]:
        """Six shifts of the isocentre and any misregistration of 3 mm, from the nominal plan."""
        from rerad.accumulation import worst_prior_within
        from rerad.dosecalc import build_operator
        from rerad.optimize import axis_shifts, robust_problem, shifted_dose, solve

        request = self.request

        reach = tuple(max(a, b) for a, b in zip(SHIFT_MM, request.grid.spacing_mm, strict=True))

        def make() -> tuple[object, int]:
            caps = tuple(
                replace(
                    cap,
                    prior=worst_prior_within(cap.prior, request.masks[cap.structure], reach),
                )
                for cap in request.organ_caps
            )
            task = prepared(replace(request, organ_caps=caps))
            operator, points = task.operator, task.points
            names = [p.structure for p in request.course.prescriptions]
            names += [cap.structure for cap in caps]
            followed = np.unique(
                np.concatenate([points.of_mask(request.masks[name])[0] for name in names])
            )
            shifted = shifted_dose(
                operator,
                operator.bixel_grids,
                lambda beams, where: build_operator(
                    request.machine,
                    request.density,
                    points.indices[where],
                    request.grid,
                    beams,
                    request.position,
                ),
                followed=followed,
                shifts_mm=axis_shifts(SHIFT_MM),
            )
            worst = [t.name for t in task.problem.terms if t.name.endswith("too little")]
            problem = robust_problem(task.problem, shifted, worst_case=worst)
            start = solve(task.problem, self.settings(relative_tolerance=1e-3)).fluence_mu
            return solve(problem, self.settings(), start=start), shifted.n_scenarios

        (found, n_scenarios), seconds = timed(make)
        return seconds, f"{n_scenarios} scenarios, set-up counted; {found.status}"

    def pareto(self) -> tuple[dict, str]:
        """Twenty plans between the mean of small bowel and of bladder, targets and caps kept."""
        from rerad.optimize import (
            Aim,
            MeanDose,
            ParetoGoal,
            ParetoSettings,
            pareto_set,
            solve,
        )

        task = self.task
        goals = []
        for name in ("Bowel_Small", "Bladder"):
            where, volume = task.points.of_mask(self.request.masks[name])
            goals.append(ParetoGoal(name, (MeanDose(name, where, volume, Aim(1.0, 10.0)),), ""))
        problem = replace(task.problem, leakage=None)
        start = solve(problem, self.settings()).fluence_mu
        settings = ParetoSettings(n_plans=20, gap=1e-6)
        found, seconds = timed(lambda: pareto_set(problem, goals, settings, start=start))
        return seconds, f"{found.n_plans} plans, {found.n_evaluations} evaluations"

    def whole(self) -> tuple[dict, str]:
        """From CT, contours and the earlier course to a judged plan and its RTPLAN."""
        from rerad import dicom
        from rerad.core import Patient

        inputs = self.case.inputs
        header = dicom.StudyHeader("1.2.826.0.1.5", uids=dicom.UidFactory("bench"))

        def make() -> object:
            result = run_pipeline(inputs, quiet)
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                image = dicom.write_image(
                    inputs.image, Patient("BENCH"), folder / "CT", study=header
                )
                dicom.write_plan(
                    result.plan,
                    result.machine,
                    Patient("BENCH"),
                    folder / "RTPLAN.dcm",
                    study=header,
                    image=image,
                    prior=None,
                )
            return result

        result, seconds = timed(make)
        steps = "; ".join(f"{s.step} {s.seconds:.1f}" for s in result.provenance.steps)
        return seconds, steps

    def all(self) -> dict[str, Callable[[], tuple[dict, str]]]:
        """Return every row by name."""
        return {
            "fluence": self.fluence,
            "hard caps": self.hard_caps,
            "six levels": self.six_levels,
            "deliverable": self.deliverable,
            "robust": self.robust,
            "twenty Pareto plans": self.pareto,
            "CT to RTPLAN": self.whole,
        }


def scaling(case: ReradCase, judge: Judge, evaluations: int) -> dict[str, list[dict]]:
    """Time hard-capped solves over beamlet widths and over dose grids."""
    from rerad.optimize import SolveSettings, solve

    found: dict[str, list[dict]] = {"beamlets": [], "points": []}
    request = request_for(case, judge, "rerad")
    for width in (10.0, 7.5, 5.0, 3.5, 2.5):
        settings = replace(request.settings, column_width_mm=width)
        task = prepared(replace(request, settings=settings))
        found["beamlets"].append(_one_scaling(task, solve, SolveSettings(evaluations)))
    for spacing in (6.0, 5.0, 4.0, 3.0, 2.5):
        other = demo_case(case.name, case.text, Fineness(dose_grid_mm=spacing))
        task = prepared(request_for(other, Judge(other), "rerad"))
        found["points"].append(_one_scaling(task, solve, SolveSettings(evaluations)))
    return found


def _one_scaling(task, solve, settings) -> dict:
    problem = replace(task.problem, leakage=None)
    solution, seconds = timed(lambda: solve(problem, settings))
    return seconds | {
        "n_beamlets": task.operator.n_beamlets,
        "n_points": task.operator.n_points,
        "n_evaluations": solution.n_evaluations,
        "per_evaluation_s": seconds["wall_s"] / solution.n_evaluations,
        "status": solution.status,
    }


def draw(found: dict[str, list[dict]], path: Path, note: str) -> None:
    """Draw time of a solve and of an evaluation against size, both axes logarithmic."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(8.6, 3.9), sharey=True)
    for axis, (kind, points) in zip(axes, found.items(), strict=True):
        sizes = [point[f"n_{kind}"] for point in points]
        for label, key, colour in (
            ("hard-capped solve", "wall_s", "#1b6ca8"),
            ("one evaluation", "per_evaluation_s", "#e0a030"),
        ):
            seconds = [point[key] for point in points]
            exponent, _ = slope(sizes, seconds)
            axis.plot(sizes, seconds, "o-", color=colour, label=f"{label}, slope {exponent:.2f}")
        axis.set(xscale="log", yscale="log", xlabel=f"{kind} of the optimiser")
        axis.grid(visible=True, which="major", color="0.85", linewidth=0.6)
        axis.legend(fontsize=8)
    axes[0].set_ylabel("time in s")
    figure.suptitle(f"Optimiser on the demo case ({note})", fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder for the plots of --scaling")
    parser.add_argument("--grid", type=float, default=3.0, help="dose grid spacing in mm")
    parser.add_argument("--evaluations", type=int, default=400, help="at most, of a solve")
    parser.add_argument("--skip", nargs="*", default=[], help="rows to leave out")
    parser.add_argument("--scaling", action="store_true", help="also time over sizes")
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    return parser.parse_args()


def main() -> None:
    """Measure, print, write."""
    import numba

    arguments = parse()
    load = os.getloadavg()[0]
    case = demo_case("demo", "published case", Fineness(dose_grid_mm=arguments.grid))
    make_plan_once(case)
    rows = Rows(case, arguments)
    operator, grid = rows.task.operator, case.grid
    note = f"{numba.get_num_threads()} threads, load average {load:.1f}"
    print(
        f"demo case, {arguments.grid:g} mm: {operator.n_beamlets} beamlets, {operator.n_points} "
        f"points for {grid.n_voxels} voxels of the dose grid; {note}"
    )
    print(f"  {'set-up of points, operator, leakage':38s}{rows.setup['wall_s']:8.2f} s")
    found: dict[str, dict] = {"set-up": rows.setup}
    for name, row in rows.all().items():
        if name in arguments.skip:
            continue
        seconds, ended = row()
        found[name] = seconds | {"goal_s": GOALS_S[name], "ended": ended}
        print(
            f"  {name:38s}{seconds['wall_s']:8.2f} s (processor {seconds['cpu_s']:.2f}; goal "
            f"{GOALS_S[name]:g}) {ended}",
            flush=True,
        )
    result = {"note": note, "n_beamlets": operator.n_beamlets, "n_points": operator.n_points}
    if arguments.scaling and arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        sizes = scaling(case, rows.judge, arguments.evaluations)
        draw(sizes, arguments.out / "scaling_optimizer.png", note)
        result["scaling"] = sizes
    if arguments.json:
        arguments.json.write_text(json.dumps(result | {"rows": found}, indent=1))


def make_plan_once(case: ReradCase) -> None:
    """Compile: plan coarsely, so that no row pays for it."""
    request = request_for(case, Judge(case), "rerad")
    settings = replace(request.settings, max_evaluations=30, n_correction_passes=0)
    if hasattr(settings, "n_leaf_refinements"):
        settings = replace(settings, n_leaf_refinements=1)
    make_plan(replace(request, settings=settings), quiet)


if __name__ == "__main__":
    main()
