"""A finished plan and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rerad.core import Dose, Finding, Plan
from rerad.planning.pass_record import PlanState
from rerad.planning.result import Convergence, TolerancePrices
from rerad.planning.robust_result import RobustPlanning


@dataclass(frozen=True, eq=False, slots=True)
class PlanOutcome:
    """A deliverable plan and its dose.

    Parameters
    ----------
    plan : Plan
        Checked against the machine.
    dose : Dose
        Final physical dose of all planned fractions.
    convergence : Convergence
        Of the last optimisation.
    complexity : mapping of str to float
        Of the leaf sequence.
    findings : tuple of Finding
        What could not be limited.
    prices : TolerancePrices or None
        Of the hard caps; None without any.
    state : PlanState or None
        To go on from.
    robust : RobustPlanning or None
        What was done against uncertainty; None for a plan that believes everything.
    """

    plan: Plan
    dose: Dose
    convergence: Convergence
    complexity: Mapping[str, float]
    findings: tuple[Finding, ...]
    prices: TolerancePrices | None = None
    state: PlanState | None = field(default=None, repr=False)
    robust: RobustPlanning | None = None
