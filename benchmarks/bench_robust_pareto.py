"""Time the robust plan and the Pareto sets on a case, and show what robustness costs.

Command, from a checkout after `make environment`::

    NUMBA_NUM_THREADS=2 .venv/bin/python benchmarks/bench_robust_pareto.py --out FOLDER

The case is one of `rerad_cases.py` (the demo by default), its ideal fluence is optimised: nominal,
then robust (earlier dose anywhere within `--registration-mm` in each organ, isocentre shifted by
`--shift-mm` each way along every axis), then Pareto sets of two goals (target, mean of the organ
named by `--organ`) and three (normal tissue too). `--coarse` is for a look, not for numbers.
Wall-clock and processor seconds are printed; both are of the solves alone, set-up stands apart.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from bench_rerad_cases import Judge, request_for
from rerad_cases import Fineness, all_cases

from rerad.accumulation import worst_prior_within
from rerad.dosecalc import build_operator, make_bixel_grid
from rerad.optimize import (
    CumulativeMean,
    FluenceSmoothness,
    OrganRisk,
    ParetoGoal,
    ParetoSettings,
    Problem,
    SolveSettings,
    axis_shifts,
    pareto_set,
    robust_price,
    robust_problem,
    shifted_dose,
    solve,
    uniform_start_mu,
)
from rerad.planning import OrganCap, PlanRequest
from rerad.planning.points import Points, choose_points
from rerad.planning.terms import (
    Anatomy,
    normal_tissue_term,
    organ_caps,
    organ_terms,
    target_terms,
)
from rerad.reporting.figures_pareto import draw_pareto

SHELL_MM, KEEP_ONE_IN = 10.0, 32
ROBUST_GOAL_S, PARETO_GOAL_S = 30.0, 20.0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--case", default="demo")
    parser.add_argument("--organ", default="Bowel_Small", help="second goal of the trades")
    parser.add_argument("--shift-mm", type=float, default=3.0)
    parser.add_argument("--registration-mm", type=float, default=3.0)
    parser.add_argument("--plans", type=int, default=20)
    parser.add_argument("--coarse", action="store_true")
    return parser.parse_args()


@dataclass(frozen=True)
class Scene:
    """A case as the optimiser sees it."""

    request: PlanRequest
    anatomy: Anatomy
    points: Points
    problem: Problem
    build: Callable


def timed(what: str, work: Callable, rows: list[dict]):
    """Do something and keep its wall-clock and processor time."""
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    row = {
        "what": what,
        "wall_s": time.perf_counter() - wall,
        "processor_s": time.process_time() - processor,
    }
    rows.append(row)
    print(f"{what:42s} {row['wall_s']:7.1f} s wall {row['processor_s']:7.1f} s processor")
    return result


def problem_of(request: PlanRequest, anatomy: Anatomy, points: Points, operator) -> Problem:
    """State the objectives and hard caps of a request."""
    weights, n_fractions = request.objectives, request.n_fractions
    organs, _ = organ_terms(anatomy, points, request.organ_caps, weights, n_fractions)
    terms = [
        *target_terms(anatomy, points, weights),
        *normal_tissue_term(anatomy, points, weights),
        *organs,
    ]
    caps = organ_caps(anatomy, points, request.organ_caps, n_fractions)
    problem = Problem(operator, tuple(terms), caps=caps)
    smooth = FluenceSmoothness(
        "smoothness",
        operator.bixel_grids,
        uniform_start_mu(problem),
        weights.smoothness_importance,
    )
    return replace(problem, fluence_terms=(smooth,))


def scene_of(request: PlanRequest) -> Scene:
    """Choose points, lay beamlets and build the operator as planning does."""
    prescriptions = request.course.prescriptions
    anatomy = Anatomy.build(request.grid, request.masks, request.body, prescriptions)
    names = {item.structure for item in prescriptions}
    names |= {cap.structure for cap in request.organ_caps}
    points = choose_points(
        request.grid,
        body=request.body,
        complete=[request.masks[name] for name in sorted(names)],
        shell_distance_mm=anatomy.nearest_target_mm(),
        shell_mm=SHELL_MM,
        keep_one_in=KEEP_ONE_IN,
        seed=request.settings.seed,
    )
    inside = request.grid.points(np.argwhere(anatomy.nearest_target_mm() <= 0))
    beams = tuple(
        make_bixel_grid(
            geometry,
            request.machine,
            inside,
            margin_mm=request.settings.field_margin_mm,
            column_width_mm=request.settings.column_width_mm,
            position=request.position,
        )
        for geometry in request.beams
    )

    def build(grids, where):
        return build_operator(
            request.machine,
            request.density,
            points.indices[where],
            request.grid,
            grids,
            request.position,
        )

    operator = build(beams, np.arange(len(points.indices)))
    problem = problem_of(request, anatomy, points, operator)
    return Scene(request, anatomy, points, problem, build)


def with_worst_prior(request: PlanRequest, radius_mm: float) -> PlanRequest:
    """Return the request with each organ's earlier dose anywhere within a radius."""

    def worst(cap: OrganCap) -> OrganCap:
        if cap.prior is None:
            return cap
        radius = (
            tuple(max(radius_mm, s) for s in request.grid.spacing_mm) if radius_mm else (0,) * 3
        )
        return replace(
            cap, prior=worst_prior_within(cap.prior, request.masks[cap.structure], radius)
        )

    return replace(request, organ_caps=tuple(worst(cap) for cap in request.organ_caps))


def run_robust(scene: Scene, nominal, arguments: argparse.Namespace, rows: list[dict]) -> dict:
    """Optimise robustly and compare."""
    request = with_worst_prior(scene.request, arguments.registration_mm)
    operator = scene.problem.operator
    robust = problem_of(request, scene.anatomy, scene.points, operator)
    targets = {
        item.structure: scene.points.of_mask(request.masks[item.structure])
        for item in request.course.prescriptions
    }
    followed = [indices for indices, _ in targets.values()]
    followed += [cap.indices for cap in (*scene.problem.caps, *robust.caps)]
    shifted = timed(
        "set-up: shifted operators",
        lambda: shifted_dose(
            operator,
            operator.bixel_grids,
            scene.build,
            followed=np.unique(np.concatenate(followed)),
            shifts_mm=axis_shifts((arguments.shift_mm,) * 3),
        ),
        rows,
    )
    names = [term.name for term in robust.terms if term.name.endswith("too little")]
    whole = robust_problem(robust, shifted, worst_case=names)
    found = timed(
        f"robust, {shifted.n_scenarios} scenarios",
        lambda: solve(
            whole,
            SolveSettings(relative_tolerance=1e-3),
            start=nominal.fluence_mu,
        ),
        rows,
    )
    print(f"  {found.status}; {shifted.n_points} points")
    priors = {cap.structure: cap for cap in request.organ_caps}
    risks = {}
    for cap in robust.caps:
        organ = priors[cap.name.removesuffix(" cap")]
        prior = np.zeros(len(cap.indices))
        if organ.prior is not None:
            prior = scene.points.sample(organ.prior.values)[cap.indices]
        risks[organ.structure] = OrganRisk(
            cap.indices,
            [prior],
            [organ.alpha_beta_gy],
            organ.aim_eqd2_gy,
            request.n_fractions,
        )
    price = robust_price(
        shifted, nominal.fluence_mu, found.fluence_mu, targets=targets, organs=risks
    )
    for target in price.targets:
        print(f"  {target.name}: D98 {target.d98}, worst {target.worst_d98}")
    for organ in price.organs:
        print(f"  {organ.name}: worst excess {organ.worst_excess} Gy EQD2")
    return {"status": found.status, "n_evaluations": found.n_evaluations}


def run_pareto(scene: Scene, nominal, arguments: argparse.Namespace, rows: list[dict]) -> list:
    """Make Pareto sets of two and of three goals, and draw them."""
    terms = {term.name: term for term in scene.problem.terms}
    lacks = tuple(term for name, term in terms.items() if name.endswith("too little"))
    # A tenth of the wish for coverage is always there: plans that leave targets are no trade.
    floor = tuple(
        replace(term, name=f"{term.name}, always", importance=0.1 * term.importance)
        for term in lacks
    )
    base = (*floor, *(term for name, term in terms.items() if name.endswith("too much")))
    cap = next(c for c in scene.request.organ_caps if c.structure == arguments.organ)
    indices, shares = scene.points.of_mask(scene.request.masks[arguments.organ])
    prior = np.zeros(len(indices))
    if cap.prior is not None:
        prior = scene.points.sample(cap.prior.values)[indices]
    known = ~np.isnan(prior)
    mean = CumulativeMean(
        f"{arguments.organ} goal",
        indices[known],
        shares[known],
        prior[known],
        cap.alpha_beta_gy,
        scene.request.n_fractions,
        1.0,
        1.0,
    )
    goals = [
        ParetoGoal("lack of dose in targets", lacks),
        ParetoGoal(f"{arguments.organ} mean", (mean,), "Gy EQD2"),
    ]
    tissue = terms["normal tissue"]
    results = []
    for number, (chosen, always) in enumerate(
        ((goals, (*base, tissue)), ([*goals, ParetoGoal("normal tissue", (tissue,))], base)), 2
    ):
        found = timed(
            f"Pareto set, {arguments.plans} plans, {number} goals",
            lambda chosen=chosen, always=always: pareto_set(
                replace(scene.problem, terms=always),
                chosen,
                ParetoSettings(n_plans=arguments.plans, gap=1e-6),
                start=nominal.fluence_mu,
            ),
            rows,
        )
        print(
            f"  {found.n_plans} plans, {int(found.n_evaluations.sum())} evaluations, gap "
            f"{found.gap:.4f}, caps exceeded by {found.cap_violations_gy.max():.3f} Gy"
        )
        draw_pareto(found).savefig(arguments.out / f"pareto_{number}.png", dpi=170)
        results.append({"goals": number, "gap": found.gap, "n_plans": found.n_plans})
    return results


def main() -> None:
    """Run the benchmark."""
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(f"load {os.getloadavg()[0]:.1f} before")
    fineness = Fineness(5.0, 80, 0, 6.0, 30) if arguments.coarse else Fineness()
    case = all_cases(fineness)[arguments.case]()
    scene = scene_of(request_for(case, Judge(case), "rerad"))
    operator = scene.problem.operator
    print(f"{operator.n_beamlets} beamlets, {operator.n_points} points")
    rows: list[dict] = []
    solve(scene.problem, SolveSettings(max_evaluations=5))  # compiled before anything is timed
    nominal = timed("nominal", lambda: solve(scene.problem, SolveSettings()), rows)
    print(f"  {nominal.status}")
    robust = run_robust(scene, nominal, arguments, rows)
    sets = run_pareto(scene, nominal, arguments, rows)
    print(f"load {os.getloadavg()[0]:.1f} after; goals {ROBUST_GOAL_S:.0f} s and ", end="")
    print(f"{PARETO_GOAL_S:.0f} s on two cores, 3000 beamlets")
    record = {"times": rows, "robust": robust, "pareto": sets}
    (arguments.out / "robust_pareto.json").write_text(json.dumps(record, indent=2))


if __name__ == "__main__":
    main()
