"""What a run of a case needs: data, choices and goals, all said by the user or by a table."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from math import inf

from rerad.core import (
    BeamGeometry,
    Course,
    Dose,
    Finding,
    Goal,
    Image,
    Machine,
    Structure,
    StructureKind,
    StructureSet,
    Study,
    Transform,
    TreatmentHistory,
)
from rerad.errors import InputError, MissingDataError
from rerad.planning.medium import MediumSettings
from rerad.radiobiology import SpineLevel
from rerad.registration import Landmark
from rerad.structures import EndSlab

Progress = Callable[[str, float], None]
"""Called with what is being done and the share done, 0 to 1."""


@dataclass(frozen=True, eq=False, slots=True)
class PriorMapping:
    """How the case wants an earlier course brought onto today's CT.

    Parameters
    ----------
    given : RigidTransform, DisplacementField or None
        A registration from the course's frame to today's, used as it is; None registers here.
    is_deformable : bool
        Whether to register deformably on top of the rigid one, if that turns out to be assured.
    guides : tuple of str
        Structures drawn on both CTs that lead the deformable registration; they do not judge it.
    landmarks : tuple of Landmark
        The same points on both CTs; they judge whatever registration is used.
    """

    given: Transform | None = None
    is_deformable: bool = False
    guides: tuple[str, ...] = ()
    landmarks: tuple[Landmark, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class PriorInput:
    """An earlier course with its data.

    Parameters
    ----------
    course : Course
        As planned and delivered; both numbers of fractions are needed to convert its dose.
    study : Study
        CT and dose at least.
    interval_months : float or None
        From its end to today's course; None means unknown.
    mapping : PriorMapping
        How it comes onto today's CT.
    """

    course: Course
    study: Study
    interval_months: float | None
    mapping: PriorMapping = PriorMapping()


@dataclass(frozen=True, slots=True)
class ObjectiveSettings:
    """How strongly the optimiser pulls at what; planning choices, not clinical limits.

    Parameters
    ----------
    target_overdose_percent : float
        Of the prescription; hotter than this is penalised inside a target.
    target_importance, target_overdose_importance : float
        Of too little and of too much dose in targets.
    organ_importance : float
        Of cumulative EQD2 above an organ's limit.
    organ_mean_importance : float
        Of the mean cumulative EQD2 of organs with a limit; keeps dose low below the limit too.
    normal_tissue_importance : float
        Of the fall-off outside the targets.
    falloff_start_percent, falloff_end_percent : float
        Of each target's prescription: allowed at its edge and far from it.
    falloff_per_mm : float
        Rate of the exponential between them.
    smoothness_importance : float
        Of differences between neighbouring beamlets.
    organ_limits_are_hard : bool
        Whether no voxel of an organ may exceed its cumulative limit (where it can be held), or
        exceeding it is only penalised.
    organ_limit_margin_gy : float
        EQD2 that the optimiser stays below each limit, for what sequencing changes afterwards.
    monitor_unit_importance : float
        Of the monitor units, relative to those of uniform open fields.
    """

    target_overdose_percent: float
    target_importance: float
    target_overdose_importance: float
    organ_importance: float
    organ_mean_importance: float
    normal_tissue_importance: float
    falloff_start_percent: float
    falloff_end_percent: float
    falloff_per_mm: float
    smoothness_importance: float
    organ_limits_are_hard: bool
    organ_limit_margin_gy: float
    monitor_unit_importance: float = 0.0


class LimitChoice(StrEnum):
    """Which of several limits that hold for an organ governs the plan.

    ``STRICTEST``: the one that leaves least. ``FOR_INTERVAL``: where the interval is known and a
    limit is stated for it, that one; a rule set's limit without recovery no longer governs then.
    """

    STRICTEST = "strictest"
    FOR_INTERVAL = "for-interval"


@dataclass(frozen=True, slots=True)
class RobustSettings:
    """How far what is believed may be off; a plan with these holds whatever the truth between is.

    None has a default: how large the uncertainty is, the clinic says.

    Parameters
    ----------
    prior_shift_mm : tuple of float
        Semi-axes (x, y, z) within which the earlier dose may lie elsewhere in the organ; 0 for
        none.
    setup_shift_mm : tuple of float
        How far the patient may lie off along (x, y, z) in all fractions of the new plan; 0 for
        none.
    alpha_beta_spread_gy : float
        The true alpha/beta of an organ may be this much lower or higher than its limit's.
    recovery_spread : float
        The earlier dose may have been forgotten by this share less than assumed; it matters only
        to limits of discounted sums.
    """

    prior_shift_mm: tuple[float, float, float]
    setup_shift_mm: tuple[float, float, float]
    alpha_beta_spread_gy: float
    recovery_spread: float

    def __post_init__(self) -> None:
        lengths = (*self.prior_shift_mm, *self.setup_shift_mm, self.alpha_beta_spread_gy)
        if not all(0 <= value < inf for value in lengths) or not 0 <= self.recovery_spread <= 1:
            msg = (
                "expected shifts and spreads of 0 or more and a recovery_spread of 0 to 1, got "
                f"{self}"
            )
            raise InputError(msg)

    @property
    def is_about_the_past(self) -> bool:
        """Whether anything is uncertain about what was given before."""
        return any((*self.prior_shift_mm, self.alpha_beta_spread_gy, self.recovery_spread))

    def alpha_beta_ends_gy(self, alpha_beta_gy: float) -> tuple[float, ...]:
        """Return the ends of the interval around an alpha/beta; itself if there is no spread.

        Raises
        ------
        InputError
            If the lower end is not above 0.
        """
        spread = self.alpha_beta_spread_gy
        if spread == 0:
            return (alpha_beta_gy,)
        if spread >= alpha_beta_gy:
            msg = (
                f"robustness.alpha_beta_spread_gy: expected less than every alpha/beta that is "
                f"planned with, got {spread:g} Gy around {alpha_beta_gy:g} Gy; give a smaller one"
            )
            raise InputError(msg)
        return (round(alpha_beta_gy - spread, 6), round(alpha_beta_gy + spread, 6))

    def least_recovery(self, recovery_fraction: float) -> float:
        """Return the least recovery that is possible where a share is assumed."""
        return max(0.0, recovery_fraction - self.recovery_spread)


@dataclass(frozen=True, slots=True)
class PlanningSettings:
    """Choices of a run.

    Parameters
    ----------
    rule_set : str
        Published limits that the plan is optimised and judged under.
    compared_rule_sets : tuple of str
        Further rule sets shown in the budget.
    limit_choice : LimitChoice
        Which of several limits that hold governs.
    recovery_table : str
        Recovery factors used with limits for discounted sums.
    tumor_alpha_beta_gy : float
        For targets.
    tumor_alpha_beta_citation : str
        Where it comes from.
    dose_grid_mm : float
        Voxel size of the dose, all directions.
    end_slab : EndSlab
        How far a stack of contours reaches beyond its ends in DVHs.
    column_width_mm : float
        Width of a beamlet along the leaf travel.
    field_margin_mm : float
        Beamlets are opened this far around the projected targets.
    n_correction_passes : int
        Times the optimiser is repeated with the final dose's difference as background.
    max_evaluations : int
        Of objective and gradient in the first pass.
    seed : int
        Of everything random.
    accepted_breaches : tuple of (str, str)
        Organs whose limit may be exceeded, each with the reason.
    n_leaf_refinements : int
        Times that leaf positions are refined on the dose of the apertures at the end.
    dose_rate_mu_min : float or None
        Meterset rate of sweeping beams; None takes the machine's.
    robustness : RobustSettings or None
        What the plan has to hold against; None believes everything.
    spine_level : SpineLevel or None
        Where along the spine the targets lie; limits stated for the level of the cord hold only
        if it is known to be there.
    """

    rule_set: str
    compared_rule_sets: tuple[str, ...]
    limit_choice: LimitChoice
    recovery_table: str
    tumor_alpha_beta_gy: float
    tumor_alpha_beta_citation: str
    dose_grid_mm: float
    end_slab: EndSlab
    column_width_mm: float
    field_margin_mm: float
    n_correction_passes: int
    max_evaluations: int
    seed: int
    accepted_breaches: tuple[tuple[str, str], ...] = ()
    n_leaf_refinements: int = 0
    dose_rate_mu_min: float | None = None
    robustness: RobustSettings | None = None
    spine_level: SpineLevel | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.dose_grid_mm <= 10:
            msg = f"expected a dose grid of 1 to 10 mm, got {self.dose_grid_mm} mm"
            raise InputError(msg)
        reaches = () if self.robustness is None else self.robustness.prior_shift_mm
        if any(0 < reach < self.dose_grid_mm for reach in reaches):
            msg = (
                "robustness.prior_shift_mm: expected 0 or at least a dose voxel of "
                f"{self.dose_grid_mm:g} mm along each axis, got {reaches}; a smaller search "
                "reaches no voxel, so make planning.dose_grid_mm smaller"
            )
            raise InputError(msg)


@dataclass(frozen=True, eq=False, slots=True)
class ReturnedPlan:
    """A plan made elsewhere.

    Parameters
    ----------
    label : str
        What to call it.
    dose : Dose
        Total physical dose on its own grid, in the frame of the planning CT.
    n_fractions : int
        Fractions that `dose` is the total of, at least 1.
    """

    label: str
    dose: Dose
    n_fractions: int


@dataclass(frozen=True, eq=False, slots=True)
class PlanningInputs:
    """One case, ready to be planned.

    Parameters
    ----------
    title : str
        Of the case.
    history : TreatmentHistory
        What is on record.
    current : Course
        Today's course: prescriptions, planned fractions, and delivered ones if it ended.
    current_order : int
        Its place among the events.
    image : Image
        Planning CT in HU.
    structures : StructureSet
        Drawn on it; one of kind EXTERNAL is needed.
    pet_suv, mr : Image or None
        For the pictures.
    priors : tuple of PriorInput
        Earlier courses with a dose.
    machine : Machine
        To plan for.
    medium : MediumSettings
        From CT number to density, overrides, couch.
    beams : tuple of BeamGeometry
        Directions and isocentre (see :func:`rerad.planning.coplanar_beams`).
    goals : tuple of Goal
        Of this plan and of the sum, besides the rule set's.
    settings : PlanningSettings
        Choices.
    objectives : ObjectiveSettings
        Weights of the optimiser.
    assumptions : tuple of str
        What was assumed because nobody knows.
    findings : tuple of Finding
        Found while reading.
    returned : ReturnedPlan or None
        A plan made elsewhere, to be judged beside the one made here.
    """

    title: str
    history: TreatmentHistory
    current: Course
    current_order: int
    image: Image
    structures: StructureSet
    pet_suv: Image | None
    mr: Image | None
    priors: tuple[PriorInput, ...]
    machine: Machine
    medium: MediumSettings
    beams: tuple[BeamGeometry, ...]
    goals: tuple[Goal, ...]
    settings: PlanningSettings
    objectives: ObjectiveSettings
    assumptions: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    returned: ReturnedPlan | None = None

    @property
    def courses_without_dose(self) -> tuple[Course, ...]:
        """Courses on record whose dose is not: with one of these, every sum is a lower bound."""
        with_dose = {prior.course.name for prior in self.priors}
        return tuple(item for item in self.history.courses if item.name not in with_dose)


def external_of(structures: StructureSet) -> Structure:
    """Return the outline of the patient.

    Raises
    ------
    MissingDataError
        If no structure of kind EXTERNAL is drawn.
    """
    for structure in structures.structures:
        if structure.kind is StructureKind.EXTERNAL and not structure.is_empty:
            return structure
    msg = (
        f"expected a structure of type EXTERNAL (the body outline) in {structures.label!r}, "
        f"got {', '.join(structures.names) or 'none'}; draw one"
    )
    raise MissingDataError(msg)
