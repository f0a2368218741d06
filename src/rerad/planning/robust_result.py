"""What a robust plan came to: what was held against, what it cost, and whether it holds."""

from dataclasses import dataclass

from rerad.evaluation import GoalResult
from rerad.optimize import RobustPrice
from rerad.planning.inputs import RobustSettings

Shift = tuple[float, float, float]
"""Of the isocentre in the patient, (x, y, z) in mm."""


@dataclass(frozen=True, eq=False, slots=True)
class RobustPlanning:
    """What the planner did against uncertainty.

    Parameters
    ----------
    settings : RobustSettings
        How far what is believed may be off.
    shifts_mm : tuple of Shift
        Places of the isocentre that were planned for; the first is none.
    price : RobustPrice
        The plan that believes everything beside the robust one, both before leaves are refined:
        at rest from the final dose, shifted by what the optimiser's dose changes.
    n_evaluations : int
        That the robust optimisations took.
    is_settled : bool
        Whether the searches of both plans had settled, and both were corrected by a final dose; if
        not, part of the difference is that one was searched further, and no price.
    """

    settings: RobustSettings
    shifts_mm: tuple[Shift, ...]
    price: RobustPrice
    n_evaluations: int
    is_settled: bool = True


@dataclass(frozen=True, eq=False, slots=True)
class RobustVerdict:
    """A goal in its worst scenario, on the final dose.

    Parameters
    ----------
    structure : str
        Name, or the part outside the targets where a breach inside is accepted.
    worst : GoalResult
        Value and verdict in the worst scenario.
    scenario : str
        Which that is.
    """

    structure: str
    worst: GoalResult
    scenario: str


@dataclass(frozen=True, eq=False, slots=True)
class RobustOutcome:
    """What robustness cost, and what holds.

    Parameters
    ----------
    planning : RobustPlanning
        What was planned against, and its price.
    verdicts : tuple of RobustVerdict
        One for each goal that has a number of a histogram, in the order of the case.
    """

    planning: RobustPlanning
    verdicts: tuple[RobustVerdict, ...]
