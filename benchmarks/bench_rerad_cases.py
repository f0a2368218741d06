"""Compare rerad's cumulative caps with two ways of planning a second course without them.

Command, from a checkout after `make environment`::

    NUMBA_NUM_THREADS=2 .venv/bin/python benchmarks/bench_rerad_cases.py --out FOLDER

Every case is planned three times with the same beams, machine, target objectives, evaluations and
final engine:

- rerad: each voxel of an organ is capped at what the limit leaves after its own earlier dose;
- uniform: each organ is capped at one physical dose, what the limit leaves after the organ's
  maximum earlier dose (`--uniform-from near-maximum`: after its D0.1cc or D0.5cc, whichever the
  limit is stated for);
- ignore and scale: the earlier dose is not known to the optimiser, which holds the limits for the
  new plan alone; then all monitor units are lowered by one factor until every cumulative limit
  holds.

All three are judged on the final dose of the leaf sequence, added to the earlier EQD2 voxel by
voxel. FOLDER gets `rerad_cases.json`, `.md` and `.png`. Cases whose data are not there
(`RERAD_SHARED_DATA`, else `../shared/data`) are named and left out. `--cases` takes some by name.

Two questions are asked of each case, and both answers are printed: the dose as prescribed, and
as much as the limits allow up to half as much again in every target (`--up-to 1 1.5`; `up_to_gy`
of a case file). Where all three ways reach the prescription the first cannot tell them apart: a
target that has what was asked for takes no more. The second shows how much the limits allow each.
`--coarse` runs on 5 mm for a look, not for numbers.
"""

import argparse
import json
import os
import time
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from rerad_cases import Fineness, ReradCase, all_cases, case_names, quiet

from rerad.core import Dose, Mask, Structure
from rerad.evaluation import dvh, evaluate_metric
from rerad.planning import OrganCap, PlanRequest, PlanSettings, make_plan
from rerad.planning.budget import OrganLimit, make_budget
from rerad.planning.caps import held_doses_gy
from rerad.planning.plan_goals import reading_of
from rerad.radiobiology import eqd2, to_eqd2

METHODS = ("rerad", "uniform", "ignore and scale")
BAR_GAIN_GY, BAR_OPTIMISER_GY, BAR_FINAL_GY = 3.0, 0.03, 0.5


class Judge:
    """Reads plans of one case against its cumulative limits."""

    def __init__(self, case: ReradCase, uniform_from: str = "maximum") -> None:
        self.case = case
        self.uniform_from = uniform_from
        _, self.limits = make_budget(case.inputs, case.priors)
        self.accepted = dict(case.inputs.settings.accepted_breaches)
        self.n_fractions = case.inputs.current.n_fractions_planned
        self.alpha_beta_gy = case.inputs.settings.tumor_alpha_beta_gy

    def region(self, limit: OrganLimit) -> Structure | Mask:
        """Return the organ, or its part outside the targets where a breach is accepted."""
        name = limit.structure
        if name not in self.accepted:
            return self.case.inputs.structures[name]
        mask, grid = self.case.masks[name], self.case.grid
        inside = np.zeros(grid.shape, dtype=bool)
        for item in self.case.inputs.current.prescriptions:
            target = self.case.masks[item.structure]
            inside[grid.region_of(target.grid)] |= target.fraction >= 0.5
        outside = np.where(inside[grid.region_of(mask.grid)], np.float32(0), mask.fraction)
        return replace(mask, fraction=outside)

    def near_max(self, limit: OrganLimit, dose: Dose | None) -> float:
        """Return the limit's own metric of the earlier dose, or of the sum with a new dose."""
        total = limit.prior
        if dose is not None:
            own = self.eqd2(dose, limit.goal.alpha_beta_gy)
            total = own if total is None else total + own
        if total is None:
            return 0.0
        slab = self.case.inputs.settings.end_slab
        return evaluate_metric(limit.goal.metric, dvh(total, self.region(limit), end_slab=slab))

    def highest_prior(self, limit: OrganLimit) -> float:
        """Return what a planner without voxelwise sums subtracts from a limit."""
        if limit.prior is None or self.uniform_from == "near-maximum":
            return self.near_max(limit, None)
        slab = self.case.inputs.settings.end_slab
        return evaluate_metric("Dmax", dvh(limit.prior, self.region(limit), end_slab=slab))

    def eqd2(self, dose: Dose, alpha_beta_gy: float) -> Dose:
        """Return the EQD2 of all planned fractions of the new course."""
        return to_eqd2(dose, n_fractions_planned=self.n_fractions, alpha_beta_gy=alpha_beta_gy)

    def organs(self, dose: Dose) -> dict[str, dict[str, float]]:
        """Return every limited organ's cumulative near-maximum beside its limit."""
        return {
            limit.structure: {
                "metric": limit.goal.metric,
                "limit_gy": limit.goal.at_most,
                "prior_gy": self.near_max(limit, None),
                "cumulative_gy": self.near_max(limit, dose),
            }
            for limit in self.limits
        }

    def targets(self, dose: Dose) -> dict[str, dict[str, float]]:
        """Return D98 %, D50 % and D2 % of each target in EQD2."""
        eqd2 = self.eqd2(dose, self.alpha_beta_gy)
        found = {}
        for item in self.case.inputs.current.prescriptions:
            slab = self.case.inputs.settings.end_slab
            read = dvh(eqd2, self.case.inputs.structures[item.structure], end_slab=slab)
            found[item.structure] = {
                metric: evaluate_metric(metric, read) for metric in ("D98%", "D50%", "D2%")
            }
        return found

    def largest_factor(self, dose: Dose) -> float:
        """Return the largest factor up to 1 at which every limit that can hold does.

        A limit that the earlier dose alone exceeds cannot be held by any factor above 0; it is
        left out here as it is for the other methods, and shows in the table.
        """
        held = [item for item in self.limits if not self.is_spent(item)]

        def excess(factor: float) -> float:
            scaled = dose.scaled(factor)
            return max(self.near_max(item, scaled) - item.goal.at_most for item in held)

        if not held or excess(1.0) <= 0:
            return 1.0
        low, high = 0.0, 1.0
        for _ in range(12):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if excess(middle) <= 0 else (low, middle)
        return low

    def is_spent(self, limit: OrganLimit) -> bool:
        """Return whether the earlier dose alone exceeds a limit."""
        return not self.near_max(limit, None) < limit.goal.at_most


def request_for(case: ReradCase, judge: Judge, method: str) -> PlanRequest:
    """Return what is asked of the planner; the methods differ in their caps only."""
    inputs = case.inputs
    margin = inputs.objectives.organ_limit_margin_gy
    caps = []
    for limit in judge.limits:
        prior, at_most = limit.prior, limit.goal.at_most
        if method == "uniform":
            prior, at_most = None, at_most - judge.highest_prior(limit)
        elif method == "ignore and scale":
            prior = None
        if at_most <= margin:
            continue  # nothing left to cap at; the table shows what became of it
        caps.append(
            OrganCap(
                structure=limit.structure,
                limit_eqd2_gy=at_most,
                aim_eqd2_gy=at_most - margin,
                alpha_beta_gy=limit.goal.alpha_beta_gy,
                prior=prior,
                excludes_targets=limit.structure in judge.accepted,
                reading=reading_of(inputs, limit.goal),
            )
        )
    settings = inputs.settings
    body = next(s.name for s in inputs.structures.structures if s.kind.name == "EXTERNAL")
    return PlanRequest(
        label="ReRT",
        course=inputs.current,
        grid=case.grid,
        density=case.medium.density,
        masks=case.masks,
        body=case.masks[body],
        machine=inputs.machine,
        beams=inputs.beams,
        organ_caps=tuple(caps),
        physical_caps=(),
        objectives=inputs.objectives,
        settings=PlanSettings(
            column_width_mm=settings.column_width_mm,
            field_margin_mm=settings.field_margin_mm,
            n_correction_passes=settings.n_correction_passes,
            max_evaluations=settings.max_evaluations,
            seed=settings.seed,
            n_leaf_refinements=settings.n_leaf_refinements,
            dose_rate_mu_min=settings.dose_rate_mu_min,
        ),
    )


def ceilings(case: ReradCase, request: PlanRequest) -> dict[str, float]:
    """Return the D98 % of each target, in EQD2, if every voxel had all that its caps allow.

    At most the dose where overdose begins. Read from voxels; a D98 % read between them can be
    a little above it on a coarse grid.
    """
    grid, n_fractions = request.grid, request.n_fractions
    most = np.full(grid.n_voxels, np.inf)
    targets = np.zeros(grid.shape, dtype=bool)
    for item in request.course.prescriptions:
        mask = case.masks[item.structure]
        targets[grid.region_of(mask.grid)] |= mask.fraction >= 0.5
    for cap in request.organ_caps:
        inside = case.masks[cap.structure].on(grid) > 0
        if cap.excludes_targets:
            inside &= ~targets
        voxels = np.flatnonzero(inside)
        allowed, _ = held_doses_gy(cap, grid, voxels, n_fractions)
        most[voxels] = np.fmin(most[voxels], allowed)
    found = {}
    overdose = request.objectives.target_overdose_percent / 100.0
    for item in request.course.prescriptions:
        share = case.masks[item.structure].on(grid).ravel()
        voxels = np.flatnonzero(share > 0)
        dose = np.minimum(most[voxels], overdose * item.wanted_gy)
        coldest = np.argsort(dose)
        volume = np.cumsum(share[voxels][coldest])
        place = int(np.searchsorted(volume, 0.02 * volume[-1]))
        alpha_beta = case.inputs.settings.tumor_alpha_beta_gy
        found[item.structure] = float(eqd2(dose[coldest[place]], n_fractions, alpha_beta))
    return found


def plan_all_ways(case: ReradCase, uniform_from: str) -> dict:
    """Plan a case three times and judge each plan."""
    judge = Judge(case, uniform_from)
    found = {}
    for method in METHODS:
        began, cpu = time.perf_counter(), time.process_time()
        request = request_for(case, judge, method)
        outcome = make_plan(request, quiet)
        factor = judge.largest_factor(outcome.dose) if method == "ignore and scale" else 1.0
        dose = outcome.dose.scaled(factor)
        found[method] = {
            "targets": judge.targets(dose),
            "ceilings": ceilings(case, request),
            "organs": judge.organs(dose),
            "mu_factor": factor,
            "mu_per_gy": outcome.complexity.get("mu_per_gy", float("nan")),
            "optimiser_excess_gy": outcome.convergence.cap_violation_gy,
            "status": outcome.convergence.status,
            "findings": [finding.text for finding in outcome.findings],
            "wall_s": time.perf_counter() - began,
            "cpu_s": time.process_time() - cpu,
        }
    return {
        "text": case.text,
        "prescriptions": {p.structure: p.dose_gy for p in case.inputs.current.prescriptions},
        "n_fractions": judge.n_fractions,
        "tumor_alpha_beta_gy": judge.alpha_beta_gy,
        "accepted": judge.accepted,
        "methods": found,
    }


def final_excess_gy(row: dict, method: str) -> float:
    """Return the largest excess of an organ over a limit that could be held; at least 0."""
    return max(
        [0.0]
        + [
            organ["cumulative_gy"] - organ["limit_gy"]
            for organ in row["methods"][method]["organs"].values()
            if organ["prior_gy"] < organ["limit_gy"]
        ]
    )


def markdown(rows: dict[str, dict], missing: list[str], note: str) -> str:
    """Return the tables."""
    lines = [
        "# Re-irradiation cases: cumulative caps beside two ways without",
        "",
        note,
        "",
        f"D98 % of each target in Gy EQD2, from the final dose of the leaf sequence. Bar: rerad "
        f"at least +{BAR_GAIN_GY:g} Gy over both; largest excess over a cap at most "
        f"{BAR_OPTIMISER_GY:g} Gy (of this plan's own dose) in the optimiser, over a cumulative "
        f"limit at most {BAR_FINAL_GY:g} Gy in the final dose.",
        "",
        "Ceiling: the D98 % if every voxel of the target had all that the organs' caps allow it, "
        "whatever beams and leaves do; read from voxels, between them it can be a little more.",
        "",
        "| case | rerad | uniform | ignore and scale (MU factor) | gain over uniform, scale "
        "| ceiling: rerad, uniform | excess: optimiser, final | bar |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        inner = row["methods"]["rerad"]["optimiser_excess_gy"]
        final = final_excess_gy(row, "rerad")
        holds = inner <= BAR_OPTIMISER_GY and final <= BAR_FINAL_GY
        for target in row["prescriptions"]:
            d98 = {m: row["methods"][m]["targets"][target]["D98%"] for m in METHODS}
            gains = gains_gy(row, target)
            verdict = "gain missed"
            if min(gains) >= BAR_GAIN_GY:
                verdict = "met" if holds else "cap missed"
            lines.append(
                f"| {name}: {target} | {d98['rerad']:.1f} | {d98['uniform']:.1f} | "
                f"{d98['ignore and scale']:.1f} "
                f"({row['methods']['ignore and scale']['mu_factor']:.2f}) | "
                f"{gains[0]:+.1f}, {gains[1]:+.1f} | {_ceilings(row, target)} | "
                f"{inner:.3f}, {final:.2f} | "
                f"{verdict} |"
            )
    for name in missing:
        lines.append(f"| {name} | data not there | | | | | | |")
    lines += ["", summary(rows)]
    for name, row in rows.items():
        lines += ["", f"## {name}", "", row["text"] + ".", ""]
        lines += ["| | " + " | ".join(METHODS) + " |", "|---" * 4 + "|"]
        for target, dose_gy in row["prescriptions"].items():
            cells = []
            for method in METHODS:
                read = row["methods"][method]["targets"][target]
                cells.append(f"{read['D98%']:.1f}, {read['D50%']:.1f}, {read['D2%']:.1f}")
            label = f"{target} ({dose_gy:g} Gy in {row['n_fractions']}): D98, D50, D2 %, EQD2"
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
        for organ, first in row["methods"]["rerad"]["organs"].items():
            cells = [f"{row['methods'][m]['organs'][organ]['cumulative_gy']:.1f}" for m in METHODS]
            outside = " outside the targets" if organ in row["accepted"] else ""
            label = (
                f"{organ}{outside} {first['metric']}: limit {first['limit_gy']:g}, "
                f"before {first['prior_gy']:.1f}"
            )
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def gains_gy(row: dict, target: str) -> tuple[float, ...]:
    """Return by how much rerad's D98 % of a target is above that of each other way."""
    d98 = [row["methods"][method]["targets"][target]["D98%"] for method in METHODS]
    return tuple(d98[0] - other for other in d98[1:])


def summary(rows: dict[str, dict]) -> str:
    """Return what all targets together gained, in a sentence."""
    gains = np.array([gains_gy(row, t) for row in rows.values() for t in row["prescriptions"]])
    if not len(gains):
        return ""
    least = gains.min(axis=1)
    over = ", ".join(f"{np.median(gains[:, n]):+.1f} Gy over {METHODS[n + 1]}" for n in range(2))
    return (
        f"Of {len(gains)} targets (questions counted apart) {np.sum(least >= BAR_GAIN_GY)} gained "
        f"{BAR_GAIN_GY:g} Gy or more over both, {np.sum(least < -0.5)} lost more than 0.5 Gy to "
        f"either; medians {over}."
    )


def _ceilings(row: dict, target: str) -> str:
    found = [row["methods"][method]["ceilings"][target] for method in METHODS[:2]]
    return ", ".join(f"{value:.1f}" for value in found)


def draw(rows: dict[str, dict], path: Path) -> None:
    """Draw D98 % of the targets of each case by each method, and what the organs got."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    colours = {"rerad": "#1b6ca8", "uniform": "#e0a030", "ignore and scale": "#9a9a9a"}
    bars = [(name, target) for name, row in rows.items() for target in row["prescriptions"]]
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(11.5, 0.55 * len(bars) + 1.8))
    place = np.arange(len(bars))[::-1]
    first = {name: place[n] for n, (name, _) in reversed(list(enumerate(bars)))}
    for n, method in enumerate(METHODS):
        offset = 0.26 * (1 - n)
        values = [rows[name]["methods"][method]["targets"][t]["D98%"] for name, t in bars]
        left.barh(place + offset, values, 0.24, color=colours[method], label=method)
        for y, value in zip(place + offset, values, strict=True):
            left.text(value + 0.4, y, f"{value:.1f}", va="center", fontsize=7)
        for name, y in first.items():
            organs = rows[name]["methods"][method]["organs"].values()
            over = [o["cumulative_gy"] - o["limit_gy"] for o in organs]
            right.plot(over, np.full(len(over), y + offset), "o", ms=4, color=colours[method])
    left.set_yticks(place, [f"{name}: {target}" for name, target in bars], fontsize=8)
    left.set_xlabel("target D98 % in Gy EQD2")
    left.set_xlim(0, 1.1 * left.get_xlim()[1])
    left.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1), ncols=len(METHODS))
    right.set_ylim(left.get_ylim())
    right.axvline(0.0, color="0.3", linewidth=1)
    right.set_yticks(place, [])
    right.set_xlabel("cumulative near-maximum less its limit, each organ, in Gy EQD2")
    for axis in (left, right):
        axis.grid(visible=True, axis="x", color="0.88", linewidth=0.6)
        axis.set_axisbelow(True)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def write(
    rows: dict[str, dict],
    folder: Path,
    fineness: tuple[Fineness, ...],
    seconds: float,
    load: float,
) -> None:
    """Write what there is so far as tables, numbers and a figure."""
    first = fineness[0]
    up_to = " and ".join(
        "as prescribed" if item.up_to == 1 else f"as much as allowed up to {item.up_to:g} times"
        for item in fineness
    )
    missing = [name for name in case_names() if name not in all_cases(fineness[0])]
    note = (
        f"Dose grid {first.dose_grid_mm:g} mm, {first.max_evaluations} evaluations, "
        f"{first.n_correction_passes} correction passes, {first.n_leaf_refinements} leaf "
        f"refinements; asked for {up_to}; {seconds:.0f} s "
        f"in all, load average {load:.1f} before."
    )
    (folder / "rerad_cases.md").write_text(markdown(rows, missing, note))
    result = {
        "fineness": [asdict(item) for item in fineness],
        "note": note,
        "missing": missing,
        "cases": rows,
    }
    (folder / "rerad_cases.json").write_text(json.dumps(result, indent=1))
    draw(rows, folder / "rerad_cases.png")


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--cases", nargs="*", help="only cases whose names contain one of these")
    parser.add_argument("--grid", type=float, default=3.0, help="dose grid spacing in mm")
    parser.add_argument("--evaluations", type=int, default=150)
    parser.add_argument("--passes", type=int, default=2, help="correction passes")
    parser.add_argument("--refinements", type=int, default=1, help="of leaf positions")
    parser.add_argument(
        "--up-to", type=float, nargs="+", default=[1.0, 1.5], help="times the prescribed dose"
    )
    parser.add_argument("--uniform-from", choices=("maximum", "near-maximum"), default="maximum")
    parser.add_argument("--coarse", action="store_true", help="5 mm, for a look")
    return parser.parse_args()


def how_fine(arguments: argparse.Namespace, up_to: float) -> Fineness:
    """Return what the command line asks for."""
    if arguments.coarse:
        return Fineness(5.0, 80, 1, 6.0, 30, up_to=up_to)
    return Fineness(
        arguments.grid,
        arguments.evaluations,
        arguments.passes,
        n_leaf_refinements=arguments.refinements,
        up_to=up_to,
    )


def main() -> None:
    """Plan all cases, print, write, draw."""
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    fineness = tuple(how_fine(arguments, up_to) for up_to in arguments.up_to)
    began, load_before = time.perf_counter(), os.getloadavg()[0]
    rows: dict[str, dict] = {}
    for name in all_cases(fineness[0]):
        if arguments.cases and not any(part in name for part in arguments.cases):
            continue
        for how in fineness:
            label = name if how.up_to == 1 else f"{name}, up to {how.up_to:g} times"
            rows[label] = plan_all_ways(all_cases(how)[name](), arguments.uniform_from)
            took = sum(found["wall_s"] for found in rows[label]["methods"].values())
            print(f"{label}: {took:.0f} s", flush=True)
            write(rows, arguments.out, fineness, time.perf_counter() - began, load_before)
    print((arguments.out / "rerad_cases.md").read_text())


if __name__ == "__main__":
    main()
