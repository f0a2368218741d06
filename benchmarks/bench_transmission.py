"""Monitor units and limits of plans that know of leaf transmission, and of plans that do not.

Command, from a checkout after `make environment`::

    NUMBA_NUM_THREADS=2 .venv/bin/python benchmarks/bench_transmission.py

The demo case is planned twice with the same beams, machine, evaluations, corrections by the final
engine and leaf refinements: with closed leaves' transmission in the optimisation, and its monitor
units as an objective, which needs it; and as if closed leaves let nothing through. Goals: monitor
units at most 75 % of the second; the dose objectives of the delivered plan at most 5 % above those
of the fluence that it was made from.
"""

import argparse
from dataclasses import replace

from bench_rerad_cases import Judge, request_for
from rerad_cases import Fineness, demo_case, quiet

from rerad.planning import make_plan
from rerad.planning.plan_task import Listeners, prepare_task

GOAL_SHARE, GOAL_ABOVE = 0.75, 0.05


def main() -> None:
    """Plan twice, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=float, default=3.0, help="dose grid spacing in mm")
    parser.add_argument("--evaluations", type=int, default=150)
    parser.add_argument("--passes", type=int, default=2, help="correction passes")
    parser.add_argument("--refinements", type=int, default=1, help="of leaf positions")
    arguments = parser.parse_args()
    fineness = Fineness(
        arguments.grid,
        arguments.evaluations,
        arguments.passes,
        n_leaf_refinements=arguments.refinements,
    )
    case = demo_case("demo", "published case", fineness)
    judge = Judge(case)
    asked = request_for(case, judge, "rerad")
    found = {}
    for is_known in (True, False):
        settings = replace(asked.settings, is_leakage_modelled=is_known)
        request = replace(asked, settings=settings)
        outcome = make_plan(request, quiet)
        task = prepare_task(request, quiet, Listeners())
        final = task.points.sample(outcome.dose.values)
        background = outcome.state.background_gy
        aimed = task.problem.delivered_gy(outcome.state.fluence_mu) + background
        bound = outcome.convergence.term_values
        dose_terms = {term.name for term in task.problem.terms}
        units = sum(beam.meterset_mu for beam in outcome.plan.beams)
        over = [
            organ["cumulative_gy"] - organ["limit_gy"]
            for organ in judge.organs(outcome.dose).values()
        ]
        found[is_known] = units
        delivered = task.problem.value_by_dose(final)[0]
        ideal = sum(value for name, value in bound.items() if name in dose_terms)
        targets = judge.targets(outcome.dose)
        d98 = ", ".join(f"{name} {read['D98%']:.1f}" for name, read in targets.items())
        print(
            f"transmission {'known' if is_known else 'ignored'}: {units:.0f} MU a fraction, "
            f"{outcome.complexity['mu_per_gy']:.0f} MU/Gy; dose objectives {delivered:.3f} of the "
            f"leaves, {task.problem.value_by_dose(aimed)[0]:.3f} before they were refined, "
            f"{ideal:.3f} of the fluence ({100 * (delivered / ideal - 1):+.1f} %; goal at most "
            f"{100 * GOAL_ABOVE:+.0f} %); D98 % {d98} Gy EQD2; largest limit excess "
            f"{max(over):+.2f} Gy",
            flush=True,
        )
    share = found[True] / found[False]
    print(f"monitor units: {100 * share:.0f} % (goal at most {100 * GOAL_SHARE:.0f} %)")


if __name__ == "__main__":
    main()
