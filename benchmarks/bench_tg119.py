"""Plan TG-119's C-shape and multi-target to the end, and read the goals off the final dose.

Command, from a checkout after `make environment`::

    NUMBA_NUM_THREADS=2 .venv/bin/python benchmarks/bench_tg119.py --json FILE

With `--peer-python PATH` (benchmarks/README.md) also the C-shape of pyRadPlan's wheel, planned
with the settings of the C-shape (`tg119_wheel.py`).

All cases (`rerad.phantoms.make_c_shape`, `make_multi_target`) go the way of every plan: voxels,
operator, optimisation, leaf sequence, final dose, corrections (`rerad.planning.make_plan`). Then
the monitor units of all beams are scaled by one factor, so that the C-shape's PTV has a D95 % of
50 Gy (the multi-target's central PTV a D99 % of 50 Gy), and the dose is calculated again from the
scaled plan. Nothing is read from the optimiser.

Goals, means and standard deviations are those of AAPM TG-119 (Ezzell et al. 2009, Med. Phys. 36,
5359, doi:10.1118/1.3238104) **as remembered** (trust M): check them against the report before you
quote them. The shapes are alike, not the report's own contours.
"""

import argparse
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tg119_wheel import read_out, wheel_case

from rerad.core import Course, Dose, DoseScope, Goal, Machine, Mask, Plan
from rerad.dosecalc import dose_in_body, final_dose, load_machine
from rerad.evaluation import dvh, evaluate_metric
from rerad.imaging import load_hounsfield_curve
from rerad.phantoms import Tg119Case, make_c_shape, make_multi_target
from rerad.planning import (
    MediumSettings,
    ObjectiveSettings,
    PlanOutcome,
    PlanRequest,
    PlanSettings,
    coplanar_beams,
    dose_grid_for,
    external_of,
    make_medium,
    make_plan,
    rasterize_all,
)
from rerad.planning.plan_goals import physical_caps
from rerad.sequencing import check_deliverable
from rerad.structures import Margin6, margin
from rerad.tables import load_table

FRAME = "1.2.826.0.1.119"
N_FRACTIONS = 25
CASES = ("c-shape", "wheel", "multi-target")


@dataclass(frozen=True, slots=True)
class Row:
    """One number of a case: what is wanted, what the report's institutions reached (M)."""

    structure: str
    metric: str
    goal: str
    mean_gy: float
    sd_gy: float


@dataclass(frozen=True, slots=True)
class Trial:
    """How one case is planned.

    Parameters
    ----------
    gantry_angles_deg : tuple of float
        Beams.
    normalise : tuple of (str, str, float)
        Structure, metric and dose that the monitor units are scaled to.
    rows : tuple of Row
        What is read.
    objectives : dict
        Weights that differ from the proposal of `rerad import`.
    goals : tuple of Goal
        Near-maxima of this plan's own dose without a priority: they are weighed against the
        targets, in one sum. The bound is meant to be missed; it says from where on dose counts.
    column_width_mm : float
        Beamlets along the leaf travel.
    collimator_angle_deg : float
        Of all beams; at 90 the leaves travel along the body.
    grown_mm : float
        The optimiser sees the target with the highest dose this much longer at either end, so
        that its ends are covered between voxel centres too; read is the target as drawn.
    isocenter_mm : tuple of float
        Of all beams.
    """

    gantry_angles_deg: tuple[float, ...]
    normalise: tuple[str, str, float]
    rows: tuple[Row, ...]
    objectives: dict[str, float]
    goals: tuple[Goal, ...] = ()
    column_width_mm: float = 2.5
    collimator_angle_deg: float = 0.0
    grown_mm: float = 0.0
    isocenter_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False, slots=True)
class Task:
    """A case, how it is planned, and masks to read beside the contours.

    Parameters
    ----------
    case : Tg119Case
        Image, contours, doses.
    trial : Trial
        How it is planned.
    voxel_masks : mapping of str to Mask
        Where the structures were given as voxels: those.
    """

    case: Tg119Case
    trial: Trial
    voxel_masks: Mapping[str, Mask] = field(default_factory=dict)


C_SHAPE = Trial(
    gantry_angles_deg=tuple(40.0 * n for n in range(9)),
    normalise=("PTV_5000", "D95%", 50.0),
    rows=(
        Row("PTV_5000", "D95%", "= 50", 50.11, 0.17),
        Row("PTV_5000", "D10%", "<= 56", 57.02, 2.20),
        Row("PTV_5000", "D99%", ">= 46", float("nan"), float("nan")),
        Row("Core", "D10%", "<= 13.5", 16.30, 3.07),
        Row("Core", "Dmean", "", float("nan"), float("nan")),
    ),
    objectives={
        "target_overdose_percent": 109.9,
        "target_importance": 320.0,
        "target_overdose_importance": 500.0,
        "organ_importance": 15.0,
        "normal_tissue_importance": 0.5,
        "smoothness_importance": 0.01,
        "monitor_unit_importance": 0.04,
    },
    goals=(Goal("Core", "D2%", DoseScope.PLAN, "Gy", at_most=10.5),),
)

MULTI_TARGET = Trial(
    gantry_angles_deg=(0.0, 50.0, 100.0, 150.0, 210.0, 260.0, 310.0),
    normalise=("PTV_5000", "D99%", 50.0),
    rows=(
        Row("PTV_5000", "D99%", ">= 50", 49.55, 1.62),
        Row("PTV_5000", "D10%", "<= 53", 54.55, 1.73),
        Row("PTV_2500", "D99%", ">= 25", 25.16, 0.85),
        Row("PTV_2500", "D10%", "<= 35", 34.12, 3.04),
        Row("PTV_1250", "D99%", ">= 12.5", 14.07, 1.85),
        Row("PTV_1250", "D10%", "<= 25", 24.18, 2.72),
    ),
    objectives={
        "target_overdose_percent": 102.0,
        "target_importance": 3000.0,
        "target_overdose_importance": 3000.0,
        "normal_tissue_importance": 1.0,
        "falloff_per_mm": 0.25,
        "falloff_end_percent": 25.0,
        "smoothness_importance": 0.02,
    },
    collimator_angle_deg=90.0,
    grown_mm=1.3,
)


def make_request(case: Tg119Case, trial: Trial, arguments: argparse.Namespace) -> PlanRequest:
    """Return what is asked of the planner: nothing that a case file could not ask."""
    table = load_table("planning_proposal")
    planning, beams = table["planning"], table["beams"]
    body = external_of(case.structures)
    grid = dose_grid_for(case.image, body, arguments.grid)
    masks = rasterize_all(case.structures, grid)
    if trial.grown_mm > 0:
        name = max(case.prescriptions, key=lambda item: item.dose_gy).structure
        ends = Margin6(0.0, 0.0, 0.0, 0.0, trial.grown_mm, trial.grown_mm)
        masks[name] = margin(masks[name], grid, ends)
    curve = load_hounsfield_curve(planning["hounsfield_curve"])
    medium = make_medium(
        case.image, case.structures, masks[body.name], grid, MediumSettings(curve)
    )
    return PlanRequest(
        label=case.name[:16],
        course=Course(case.name, "", "IMRT", case.prescriptions, N_FRACTIONS, None),
        grid=medium.patient.grid,
        density=medium.density,
        masks=masks,
        body=masks[body.name],
        machine=load_machine(arguments.machine),
        beams=coplanar_beams(
            trial.gantry_angles_deg, trial.collimator_angle_deg, trial.isocenter_mm
        ),
        organ_caps=(),
        physical_caps=physical_caps(trial.goals),
        objectives=ObjectiveSettings(**{**table["objectives"], **trial.objectives}),
        settings=PlanSettings(
            column_width_mm=trial.column_width_mm,
            field_margin_mm=beams["field_margin_mm"],
            n_correction_passes=arguments.passes,
            max_evaluations=arguments.evaluations,
            seed=planning["seed"],
            n_leaf_refinements=arguments.refinements,
            dose_rate_mu_min=arguments.dose_rate,
        ),
    )


def read(case: Tg119Case, dose: Dose, structure: str, metric: str) -> float:
    """Return one number of a dose, from the contours."""
    return evaluate_metric(metric, dvh(dose, case.structures[structure]))


def scaled(plan: Plan, factor: float) -> Plan:
    """Return a plan with all monitor units times a factor."""
    beams = tuple(replace(beam, meterset_mu=factor * beam.meterset_mu) for beam in plan.beams)
    return replace(plan, beams=beams)


def normalised(
    case: Tg119Case, trial: Trial, request: PlanRequest, outcome: PlanOutcome
) -> tuple[Plan, Dose, float]:
    """Return the plan scaled to its wanted dose, its dose calculated again, and the factor."""
    structure, metric, wanted_gy = trial.normalise
    factor = wanted_gy / read(case, outcome.dose, structure, metric)
    plan = scaled(outcome.plan, factor)
    check_deliverable(plan, request.machine)
    dose = final_dose(plan, request.machine, request.density, request.grid)
    return plan, dose_in_body(dose, request.body), factor


def beam_on_min(plan: Plan, machine: Machine) -> float:
    """Return the minutes of a fraction in which the beam is on, at the dose rate of each beam."""
    return sum(
        beam.meterset_mu / (beam.dose_rate_mu_min or machine.dose_rate_mu_min)
        for beam in plan.beams
    )


def is_met(goal: str, value: float, *, is_scaled_to: bool) -> bool | None:
    """Return whether a goal is met; None where there is none.

    What the monitor units are scaled to counts to 0.05 Gy (the dose is calculated again), all else
    as it is.
    """
    if not goal:
        return None
    sign, limit = goal.split()
    over = value - float(limit)
    slack = 0.05 if is_scaled_to else 0.0
    if sign == "=":
        return abs(over) <= slack
    return over <= slack if sign == "<=" else over >= -slack


def run(task: Task, arguments: argparse.Namespace) -> dict:
    """Plan one case and read it."""
    case, trial = task.case, task.trial
    began, cpu = time.perf_counter(), time.process_time()
    request = make_request(case, trial, arguments)
    outcome = make_plan(request, lambda _what, _share: None)
    plan, dose, factor = normalised(case, trial, request, outcome)
    rows = []
    for row in trial.rows:
        value = read(case, dose, row.structure, row.metric)
        rows.append(
            {
                "structure": row.structure,
                "metric": row.metric,
                "goal": row.goal,
                "value_gy": value,
                "is_met": is_met(
                    row.goal,
                    value,
                    is_scaled_to=(row.structure, row.metric) == trial.normalise[:2],
                ),
                "published_mean_gy": row.mean_gy,
                "published_sd_gy": row.sd_gy,
            }
        )
        if row.structure in task.voxel_masks:
            of_voxels = dvh(dose, task.voxel_masks[row.structure])
            rows[-1]["by_voxel_centres_gy"] = evaluate_metric(row.metric, of_voxels)
    prescribed = max(item.dose_gy for item in case.prescriptions)
    return {
        "case": case.name,
        "rows": rows,
        "normalised_by": factor,
        "mu_per_gy": plan.meterset_mu * N_FRACTIONS / prescribed,
        "beam_on_min": beam_on_min(plan, request.machine),
        "complexity": dict(outcome.complexity),
        "status": outcome.convergence.status,
        "passes": [
            (item.rms_gy, item.largest_gy, item.structure, item.metric)
            for item in outcome.convergence.passes
        ],
        "findings": [finding.text for finding in outcome.findings],
        "wall_s": time.perf_counter() - began,
        "cpu_s": time.process_time() - cpu,
    }


def show(result: dict) -> None:
    """Print the table of one case."""
    print(
        f"\n{result['case']}: {result['mu_per_gy']:.0f} MU per Gy, beam on for "
        f"{result['beam_on_min']:.1f} min a fraction, scaled by {result['normalised_by']:.4f}, "
        f"{result['wall_s']:.0f} s ({result['cpu_s']:.0f} s of processor time); {result['status']}"
    )
    print(
        "  passes (rms in targets, largest): "
        + "; ".join(
            f"{rms:.2f}, {largest:.2f} {where} {metric}"
            for rms, largest, where, metric in result["passes"]
        )
    )
    print(f"  {'':18s}{'rerad':>8s}{'goal':>9s}{'':>5s}{'published mean (SD), recalled':>34s}")
    for row in result["rows"]:
        verdict = {True: "met", False: "MISSED", None: ""}[row["is_met"]]
        mean, sd = row["published_mean_gy"], row["published_sd_gy"]
        published = f"{mean:.2f} ({sd:.2f})" if mean == mean else "-"
        print(
            f"  {row['structure'] + ' ' + row['metric']:18s}{row['value_gy']:8.2f}"
            f"{row['goal']:>9s} {verdict:7s}{published:>30s}"
        )
    by_voxels = [row for row in result["rows"] if "by_voxel_centres_gy" in row]
    if by_voxels:
        numbers = (
            f"{row['structure']} {row['metric']} {row['by_voxel_centres_gy']:.2f}"
            for row in by_voxels
        )
        print("  read at the voxel centres of the masks instead: " + "; ".join(numbers))


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=float, default=2.5, help="dose grid spacing in mm")
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--passes", type=int, default=3, help="correction passes")
    parser.add_argument("--refinements", type=int, default=2, help="of leaf positions")
    parser.add_argument("--dose-rate", type=float, default=100.0, help="MU per minute")
    parser.add_argument("--machine", default="generic_6mv")
    parser.add_argument("--case", choices=CASES, help="only this one")
    parser.add_argument(
        "--peer-python", type=Path, help="Python that can import pyRadPlan, for the case `wheel`"
    )
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    return parser.parse_args()


def tasks(arguments: argparse.Namespace) -> dict[str, Task]:
    """Return the cases asked for; the wheel's only where there is a Python to read it."""
    found = {}
    if arguments.case in (None, "c-shape"):
        found["c-shape"] = Task(make_c_shape(FRAME), C_SHAPE)
    if arguments.case in (None, "wheel") and arguments.peer_python is not None:
        wheel = wheel_case(read_out(arguments.peer_python), FRAME)
        trial = replace(C_SHAPE, isocenter_mm=wheel.isocenter_mm)
        found["wheel"] = Task(wheel.case, trial, wheel.voxel_masks)
    elif arguments.case in (None, "wheel"):
        print("wheel: skipped, since --peer-python names no Python that can import pyRadPlan")
    if arguments.case in (None, "multi-target"):
        found["multi-target"] = Task(make_multi_target(FRAME), MULTI_TARGET)
    return found


def main() -> None:
    """Plan, print, write."""
    arguments = parse()
    load_before = os.getloadavg()[0]
    results = []
    for task in tasks(arguments).values():
        results.append(run(task, arguments))
        show(results[-1])
    settings = {k: str(v) for k, v in vars(arguments).items()}
    print(f"\nload average {load_before:.1f} before; {settings}")
    if arguments.json:
        text = {"settings": settings, "load_before": load_before, "cases": results}
        arguments.json.write_text(json.dumps(text, indent=1))


if __name__ == "__main__":
    main()
