"""What a plan is made of, and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rerad.core import (
    BeamGeometry,
    Course,
    Dose,
    Goal,
    Grid,
    Image,
    Machine,
    Mask,
    PatientPosition,
)
from rerad.errors import InputError
from rerad.planning.inputs import ObjectiveSettings, RobustSettings
from rerad.planning.terms import CapCorner, OrganCap, PhysicalCap


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """How a plan is made.

    Parameters
    ----------
    column_width_mm, field_margin_mm : float
        Beamlet width along the leaf travel; opening around the projected targets.
    n_correction_passes : int
        Repetitions with the final dose's difference as background.
    max_evaluations : int
        Of the first optimisation; corrections start warm and take half.
    seed : int
        Of the sampled voxels.
    n_leaf_refinements : int
        Times that leaf positions are refined on the dose of the apertures at the end.
    dose_rate_mu_min : float or None
        Meterset rate of sweeping beams; None takes the machine's. A lower one needs fewer monitor
        units and leaks less, and takes longer.
    is_leakage_modelled : bool
        Whether the optimiser knows what closed leaves let through; False only to compare.
    """

    column_width_mm: float
    field_margin_mm: float
    n_correction_passes: int
    max_evaluations: int
    seed: int
    n_leaf_refinements: int = 0
    dose_rate_mu_min: float | None = None
    is_leakage_modelled: bool = True

    def __post_init__(self) -> None:
        if self.dose_rate_mu_min is not None and not self.dose_rate_mu_min > 0:
            msg = f"expected a dose rate above 0 MU/min, got {self.dose_rate_mu_min}"
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class PlanGoal:
    """A clinical goal that steers the optimiser.

    Parameters
    ----------
    goal : Goal
        With a priority, or hard.
    prior : Dose or None
        Earlier EQD2 at the goal's alpha/beta, for cumulative goals; None if there was none.
    prescription_gy : float or None
        What goals in percent are relative to: the structure's own prescription, else the highest.
    corners : tuple of CapCorner
        Of a robust plan: what may have been given before, at each end of alpha/beta; the goal is
        worked on with the worst of them at every voxel. Empty believes `prior`.
    excludes_targets : bool
        Whether the goal is worked on outside the targets only, as where its breach in them is
        accepted.
    """

    goal: Goal
    prior: Dose | None
    prescription_gy: float | None
    corners: tuple[CapCorner, ...] = ()
    excludes_targets: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class PlanRequest:
    """What a plan is made of.

    Parameters
    ----------
    label : str
        Of the plan.
    course : Course
        Prescriptions and planned fractions.
    grid : Grid
        The dose grid.
    density : Image
        Mass density of all that beams pass; the dose grid is a crop of its grid.
    masks : mapping of str to Mask
        Structures on crops of the dose grid.
    body : Mask
        Outline of the patient.
    machine : Machine
        To plan for.
    beams : tuple of BeamGeometry
        Directions.
    organ_caps : tuple of OrganCap
        Cumulative limits.
    physical_caps : tuple of PhysicalCap
        Bounds on this plan's own dose.
    objectives : ObjectiveSettings
        Weights.
    settings : PlanSettings
        How it is made.
    goals : tuple of PlanGoal
        Goals with a priority: they are worked on in that order; and hard ones.
    robustness : RobustSettings or None
        What the plan has to hold against; None believes everything. What it means for the earlier
        dose is in the corners of `organ_caps`.
    """

    label: str
    course: Course
    grid: Grid
    density: Image
    masks: Mapping[str, Mask]
    body: Mask
    machine: Machine
    beams: tuple[BeamGeometry, ...]
    organ_caps: tuple[OrganCap, ...]
    physical_caps: tuple[PhysicalCap, ...]
    objectives: ObjectiveSettings
    settings: PlanSettings
    goals: tuple[PlanGoal, ...] = ()
    robustness: RobustSettings | None = None

    @property
    def position(self) -> PatientPosition:
        """How the patient lies."""
        return self.density.patient_position

    @property
    def n_fractions(self) -> int:
        """Planned fractions."""
        if not self.course.n_fractions_planned:
            msg = f"{self.course.name}: expected a planned number of fractions of at least 1"
            raise InputError(msg)
        return self.course.n_fractions_planned

    @property
    def trusting(self) -> "PlanRequest":
        """The same request where everything is believed."""
        caps = tuple(replace(cap, corners=()) for cap in self.organ_caps)
        goals = tuple(replace(goal, corners=()) for goal in self.goals)
        return replace(self, organ_caps=caps, goals=goals, robustness=None)
