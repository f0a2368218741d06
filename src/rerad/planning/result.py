"""What a run of a case comes to: one frozen object for report, terminal and DICOM."""

from collections.abc import Mapping
from dataclasses import dataclass

from rerad.core import (
    Course,
    DisplacementField,
    Dose,
    Finding,
    Goal,
    Image,
    Machine,
    Mask,
    Plan,
    Prescription,
    Provenance,
    RecordGrade,
    RigidTransform,
    StructureSet,
    Study,
    TreatmentHistory,
)
from rerad.evaluation import Dvh, GoalResult, is_within_limits
from rerad.optimize import LevelOutcome, PriceMap
from rerad.planning.inputs import ReturnedPlan
from rerad.planning.robust_result import RobustOutcome
from rerad.registration import DeformableQuality, LandmarkFit, RegistrationQuality

NOT_ASSURED = "registration-not-assured"
"""Code of the finding that keeps a course from being mapped voxel by voxel."""


@dataclass(frozen=True, eq=False, slots=True)
class PriorCourse:
    """An earlier course carried onto today's anatomy.

    Parameters
    ----------
    course : Course
        As planned and as delivered.
    study : Study
        Its own CT, structures, plan and dose, in its own frame.
    transform : RigidTransform
        From its frame to today's; under a deformation, the rigid transform that it stands on.
    registration : RegistrationQuality or None
        How good the rigid registration made here is; None where none was made.
    image_on_planning : Image
        Its CT resampled onto the grid of today's dose (HU).
    physical_on_planning : Dose
        Its delivered physical dose on the grid of today's dose; to be looked at, never summed.
    eqd2_on_planning : mapping of float to Dose
        Its delivered EQD2 without recovery on the grid of today's dose, by alpha/beta in Gy.
    deformation : DisplacementField or None
        What its doses were mapped by; None for the rigid transform.
    deformable : DeformableQuality or None
        How good a displacement field is, used or not.
    landmarks : LandmarkFit or None
        How far the case's landmarks lie apart under what was used.
    findings : tuple of Finding
        About the registration.
    """

    course: Course
    study: Study
    transform: RigidTransform
    registration: RegistrationQuality | None
    image_on_planning: Image
    physical_on_planning: Dose
    eqd2_on_planning: Mapping[float, Dose]
    deformation: DisplacementField | None = None
    deformable: DeformableQuality | None = None
    landmarks: LandmarkFit | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def is_mapped(self) -> bool:
        """Whether its dose was carried from another frame, voxel by voxel."""
        return self.transform.from_frame_uid != self.transform.to_frame_uid

    @property
    def is_assured(self) -> bool:
        """Whether it was mapped, or needed not; else organs count with their highest dose."""
        return all(item.code != NOT_ASSURED for item in self.findings)


@dataclass(frozen=True, slots=True)
class BudgetScenario:
    """What a limit leaves under one assumption about recovery.

    Parameters
    ----------
    label : str
        The assumption in words, for example ``interval 6-12 months``.
    recovery_fraction : float
        Share of the earlier EQD2 taken as recovered; 0 for a raw sum.
    prior_eqd2_gy : float
        Earlier courses at the limit's metric, after recovery; NaN where unknown.
    limit_eqd2_gy : float
        The limit that goes with the assumption.
    remaining_eqd2_gy : float
        What is left, at least 0; NaN where unknown.
    remaining_physical_gy : float
        The same as physical dose in the planned number of fractions.
    citation : str
        Of the recovery factor, or of the limit if there is none.
    is_planned_with : bool
        Whether the plan was optimised under this assumption.
    prior_at_least_eqd2_gy : float
        What is known of the earlier courses where all of it is not; else the same.
    remaining_at_most_eqd2_gy, remaining_at_most_physical_gy : float
        What that leaves at most; NaN if nothing can be said.
    is_upper_bound : bool
        Whether the earlier dose is a bound from paper or points: what is left is left at least.
    """

    label: str
    recovery_fraction: float
    prior_eqd2_gy: float
    limit_eqd2_gy: float
    remaining_eqd2_gy: float
    remaining_physical_gy: float
    citation: str
    is_planned_with: bool
    prior_at_least_eqd2_gy: float = float("nan")
    remaining_at_most_eqd2_gy: float = float("nan")
    remaining_at_most_physical_gy: float = float("nan")
    is_upper_bound: bool = False


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """The remaining tolerance of one organ under one rule.

    Parameters
    ----------
    structure : str
        Name in the structure set.
    limit : Goal
        The cumulative limit, with its citation.
    rule_set : str
        Which published set it belongs to.
    scenarios : tuple of BudgetScenario
        One for each assumption that cannot be excluded.
    grade : RecordGrade or None
        Poorest record of the earlier courses in it; None if nothing was given before.
    """

    structure: str
    limit: Goal
    rule_set: str
    scenarios: tuple[BudgetScenario, ...]
    grade: RecordGrade | None = None


@dataclass(frozen=True, eq=False, slots=True)
class DeliveryState:
    """Doses and judgements for a number of fractions of the new plan.

    Parameters
    ----------
    label : str
        For example ``planned, 22 fractions``.
    n_fractions : int
        Fractions counted.
    physical : Dose
        Physical dose of the new plan in that many fractions.
    cumulative : mapping of float to Dose
        Cumulative EQD2 by alpha/beta in Gy, earlier courses without recovery.
    physical_dvhs : mapping of str to Dvh
        By structure.
    cumulative_dvhs : mapping of str to Dvh
        By structure, each at its own alpha/beta; only structures that have one.
    goals : tuple of GoalResult
        Every goal, in the order of the case.
    """

    label: str
    n_fractions: int
    physical: Dose
    cumulative: Mapping[float, Dose]
    physical_dvhs: Mapping[str, Dvh]
    cumulative_dvhs: Mapping[str, Dvh]
    goals: tuple[GoalResult, ...]


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One line of the closing table.

    Parameters
    ----------
    structure : str
        Name.
    is_target : bool
        Target or organ.
    metric : str
        What is looked at.
    physical_gy : float
        The metric on the new plan as planned.
    prior_eqd2_gy, cumulative_eqd2_gy : float
        The metric on the earlier EQD2 and on the cumulative EQD2 as planned; NaN where unknown or
        where no alpha/beta is given.
    delivered_cumulative_eqd2_gy : float
        The same for the delivered fractions; NaN if all were or none is said.
    alpha_beta_gy : float or None
        Of the EQD2.
    planned : GoalResult
        Goal and verdict as planned.
    delivered : GoalResult or None
        Verdict for the delivered fractions, if fewer.
    """

    structure: str
    is_target: bool
    metric: str
    physical_gy: float
    prior_eqd2_gy: float
    cumulative_eqd2_gy: float
    delivered_cumulative_eqd2_gy: float
    alpha_beta_gy: float | None
    planned: GoalResult
    delivered: GoalResult | None


@dataclass(frozen=True, slots=True)
class TargetDelivery:
    """What a target was to get, got, and lacks, at its prescription level.

    Parameters
    ----------
    prescription : Prescription
        Target and planned dose.
    alpha_beta_gy : float
        Of the tumour.
    bed_planned_gy, bed_delivered_gy, bed_deficit_gy : float
        Biologically effective dose, without a time factor.
    dose_delivered_gy : float
        Physical dose in the delivered fractions.
    citation : str
        Of the alpha/beta.
    """

    prescription: Prescription
    alpha_beta_gy: float
    bed_planned_gy: float
    bed_delivered_gy: float
    bed_deficit_gy: float
    dose_delivered_gy: float
    citation: str


@dataclass(frozen=True, slots=True)
class PassAgreement:
    """How far the optimiser's dose was from the final dose after one pass.

    Parameters
    ----------
    rms_gy : float
        Root mean square over the voxels of the targets.
    largest_gy : float
        Largest difference of the numbers compared (see `rerad.planning.agreement`).
    structure, metric : str
        Where it is.
    """

    rms_gy: float
    largest_gy: float
    structure: str
    metric: str


@dataclass(frozen=True, slots=True)
class Convergence:
    """How the optimiser came down.

    Parameters
    ----------
    objective : tuple of float
        Best value so far at each evaluation.
    term_values : mapping of str to float
        Value of each term at the end.
    status : str
        Why it stopped.
    passes : tuple of PassAgreement
        How far the optimiser was from the final dose, pass by pass.
    cap_violation_gy : float
        Largest excess over a hard cap in the optimiser, in Gy of this plan's physical dose.
    levels : tuple of LevelOutcome
        What came of each level of priority; empty where no goal has one.
    refinement : tuple of float
        Objective of the final dose, caps included, before and after each leaf refinement.
    """

    objective: tuple[float, ...]
    term_values: Mapping[str, float]
    status: str
    passes: tuple[PassAgreement, ...] = ()
    cap_violation_gy: float = 0.0
    levels: tuple[LevelOutcome, ...] = ()
    refinement: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class TolerancePrices:
    """Prices of all hard limits on dose.

    Parameters
    ----------
    map : PriceMap
        Voxel by voxel, of what every voxel is held to.
    organs : mapping of str to float
        Fall of the objective if a whole organ had a Gy more, the sum over its voxels, or a hard
        goal on a mean, gEUD or volume; by the name of the limit, in every shift of a robust plan.
    objective : float
        Value of the objective that falls, for comparison.
    """

    map: PriceMap
    organs: Mapping[str, float]
    objective: float

    @property
    def is_mapped(self) -> bool:
        """Whether any voxel has a price above 0."""
        return bool((self.map.values > 0).any())


@dataclass(frozen=True, eq=False, slots=True)
class ReturnedCheck:
    """How a returned plan stands under the goals and limits of a case.

    Parameters
    ----------
    plan : ReturnedPlan
        Which.
    goals : tuple of GoalResult
        Those of the case, then the limits of its rule set, as for a plan made here.
    findings : tuple of Finding
        What the reader must weigh.
    """

    plan: ReturnedPlan
    goals: tuple[GoalResult, ...]
    findings: tuple[Finding, ...]

    @property
    def is_within_limits(self) -> bool | None:
        """Whether no goal is exceeded, knowingly or not; None if that cannot be told.

        See :func:`rerad.evaluation.is_within_limits`.
        """
        return is_within_limits(self.goals)


@dataclass(frozen=True, eq=False, slots=True)
class CaseResult:
    """Everything a run found.

    Parameters
    ----------
    title : str
        Of the case.
    history : TreatmentHistory
        Earlier courses and everything else on record.
    current : Course
        Today's course as planned and, if it ended, as delivered.
    current_order : int
        Its place among the events of the history.
    planning_image : Image
        Today's CT.
    structures : StructureSet
        Today's structures.
    masks : mapping of str to Mask
        The structures on crops of the dose grid.
    pet_suv, mr : Image or None
        In today's frame.
    priors : tuple of PriorCourse
        Earlier courses with a dose on record.
    budget : tuple of BudgetRow
        What remains.
    machine : Machine
        The linear accelerator planned for.
    plan : Plan
        The deliverable plan.
    planned : DeliveryState
        All fractions.
    delivered : DeliveryState or None
        The fractions given, where fewer.
    summary : tuple of SummaryRow
        The closing table.
    targets : tuple of TargetDelivery
        Planned, delivered and missing at each prescription level.
    convergence : Convergence
        Of the last optimisation.
    complexity : mapping of str to float
        Monitor units per Gy, modulation complexity score, and so on; units in the names.
    assumptions : tuple of str
        What was assumed because the record does not say.
    findings : tuple of Finding
        What a clinician must weigh.
    provenance : Provenance
        Versions, inputs, settings, seconds.
    prices : TolerancePrices or None
        What a Gy more of tolerance would buy; None without hard limits.
    robust : RobustOutcome or None
        What robustness cost and what holds; None for a plan that believes everything.
    returned : ReturnedCheck or None
        How a plan made elsewhere stands; None without one.
    """

    title: str
    history: TreatmentHistory
    current: Course
    current_order: int
    planning_image: Image
    structures: StructureSet
    masks: Mapping[str, Mask]
    pet_suv: Image | None
    mr: Image | None
    priors: tuple[PriorCourse, ...]
    budget: tuple[BudgetRow, ...]
    machine: Machine
    plan: Plan
    planned: DeliveryState
    delivered: DeliveryState | None
    summary: tuple[SummaryRow, ...]
    targets: tuple[TargetDelivery, ...]
    convergence: Convergence
    complexity: Mapping[str, float]
    assumptions: tuple[str, ...]
    findings: tuple[Finding, ...]
    provenance: Provenance
    prices: TolerancePrices | None = None
    robust: RobustOutcome | None = None
    returned: ReturnedCheck | None = None

    @property
    def is_within_limits(self) -> bool | None:
        """Whether no goal of the plan as planned is exceeded, knowingly or not; None: unknown.

        See :func:`rerad.evaluation.is_within_limits`.
        """
        return is_within_limits(self.planned.goals)
