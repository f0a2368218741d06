"""What a case file may say: strict, units in the key names, unknown a value of its own.

An unknown key is an error that names file and key. What nobody knows is written ``"unknown"``;
leaving a key out is only allowed where the default below says what that means.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from rerad.case.history_schema import (
    CourseTable,
    HistoryTables,
    PriorCourseTable,
    Strict,
    Unknown,
)
from rerad.case.nerve_schema import NervesTable
from rerad.case.pet_schema import PetTable

SCHEMA_VERSION = 1
"""Raised when a key changes its meaning or goes; newer files are refused by older programs."""


class PatientTable(Strict):
    """Who, in a sentence; identity comes from the DICOM files."""

    summary: str = Field(description="One sentence: who the patient is and why treatment is asked")
    age_years: Annotated[int, Field(ge=0, le=120)] | Unknown = Field(
        default="unknown", description="Age at today's course"
    )


class DataTable(Strict):
    """Which DICOM objects of the data folder are today's."""

    folder: str = Field(description="Folder with the DICOM files, relative to this file")
    planning_ct_series_uid: str = Field(description="Planning CT: the plan is made on it")
    structure_set_uid: str = Field(description="Structures drawn on the planning CT")
    pet_series_uid: str = Field(
        default="",
        description="PET; of another frame than the planning CT only with a registration (REG) or "
        "the PET's own CT in the folder; or empty",
    )
    mr_series_uid: str = Field(
        default="",
        description="MRI; of another frame only with a registration (REG) in the folder; or empty",
    )


class BeamsTable(Strict):
    """Where the beams come from."""

    gantry_angles_deg: tuple[Annotated[float, Field(ge=0, lt=360)], ...] = Field(
        min_length=1, description="IEC 61217 gantry angles; coplanar"
    )
    collimator_angle_deg: Annotated[float, Field(ge=0, lt=360)] = Field(
        description="IEC 61217 collimator angle of all beams"
    )
    column_width_mm: Annotated[float, Field(ge=2, le=10)] = Field(
        description="Beamlet width along the leaf travel"
    )
    field_margin_mm: Annotated[float, Field(ge=0, le=30)] = Field(
        description="Beamlets opened around the projected targets"
    )
    dose_rate_mu_min: Annotated[float, Field(ge=0, le=3000)] = Field(
        default=0.0,
        description="MU a minute while leaves sweep; 0 takes the machine's. A lower rate needs "
        "fewer monitor units and leaks less, and takes longer",
    )


class ObjectivesTable(Strict):
    """How strongly the optimiser pulls at what: planning choices, not clinical limits."""

    target_overdose_percent: Annotated[float, Field(ge=100, le=150)] = Field(
        description="Dose above this share of the prescription is penalised in a target"
    )
    target_importance: Annotated[float, Field(gt=0)] = Field(
        description="Of too little dose in targets"
    )
    target_overdose_importance: Annotated[float, Field(ge=0)] = Field(
        description="Of too much dose in targets"
    )
    organ_importance: Annotated[float, Field(ge=0)] = Field(
        description="Of cumulative EQD2 above an organ's limit"
    )
    organ_mean_importance: Annotated[float, Field(ge=0)] = Field(
        description="Of the mean cumulative EQD2 of organs with a limit"
    )
    normal_tissue_importance: Annotated[float, Field(ge=0)] = Field(
        description="Of dose above the fall-off outside the targets"
    )
    falloff_start_percent: Annotated[float, Field(ge=0, le=120)] = Field(
        description="Of each target's prescription, allowed at its edge"
    )
    falloff_end_percent: Annotated[float, Field(ge=0, le=120)] = Field(
        description="Of each target's prescription, allowed far from it"
    )
    falloff_per_mm: Annotated[float, Field(gt=0, le=2)] = Field(
        description="Rate of the exponential fall-off between the two"
    )
    smoothness_importance: Annotated[float, Field(ge=0)] = Field(
        description="Of differences between neighbouring beamlets"
    )
    organ_limits_are_hard: bool = Field(
        description="Hold limits in every voxel (but targets in accepted breaches), or penalise"
    )
    organ_limit_margin_gy: Annotated[float, Field(ge=0, le=10)] = Field(
        description="Planned this far below each cumulative limit (EQD2), for what leaves change"
    )
    monitor_unit_importance: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="Of the monitor units, relative to uniform open fields"
    )


class AcceptedBreachTable(Strict):
    """A limit that may be exceeded knowingly."""

    structure: str = Field(description="Organ whose limit may be exceeded")
    reason: str = Field(min_length=1, description="Why; it is printed in the report")


class GoalTable(Strict):
    """A clinical goal besides the rule set's, key by key; a line under `goals` says the same."""

    structure: str = Field(description="Structure as named in the structure set")
    metric: str = Field(description="D95%, D2%, D0.1cc, Dmean, V45Gy, gEUD8, CI ...")
    scope: Literal["plan", "cumulative"] = Field(
        default="plan", description="Physical dose of this plan, or cumulative EQD2"
    )
    at_most: float | None = Field(default=None, description="Upper bound, in unit")
    at_least: float | None = Field(default=None, description="Lower bound, in unit")
    unit: Literal["Gy", "%", "cc", ""] = Field(
        description="Gy; % of the prescription for D, of the volume for V; cc; none for an index"
    )
    alpha_beta_gy: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Needed for cumulative goals"
    )
    citation: str = Field(default="user", description="Where the number comes from")
    priority: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="1 comes first; absent: judged and not ranked"
    )
    is_hard: bool = Field(default=False, description="A limit that holds at every priority")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if (self.at_most is None) == (self.at_least is None):
            msg = f"goal {self.structure} {self.metric}: give exactly one of at_most and at_least"
            raise ValueError(msg)
        if self.scope == "cumulative" and self.alpha_beta_gy is None:
            msg = f"goal {self.structure} {self.metric}: a cumulative goal needs alpha_beta_gy"
            raise ValueError(msg)
        return self


class PlanningTable(Strict):
    """Choices of the plan."""

    machine: str = Field(description="Name of a machine that ships with rerad, or a file")
    hounsfield_curve: str = Field(
        description="CT calibration: one that ships with rerad, or the name of a ct_calibration"
    )
    couch: str = Field(
        default="none",
        description="none; as_imaged (what the CT shows behind the body); structures (those under "
        "couch_structure); or the name of a couch_panel",
    )
    rule_set: str = Field(description="Cumulative limits that the plan is made and judged under")
    compared_rule_sets: tuple[str, ...] = Field(
        default=(), description="Further rule sets shown in the budget"
    )
    limit_choice: Literal["strictest", "for-interval"] = Field(
        description="Of several limits that hold: the one that leaves least, or the one stated "
        "for the known interval"
    )
    recovery_table: str = Field(description='Recovery factors for discounted sums; "none"')
    tumor_alpha_beta_gy: Annotated[float, Field(gt=0, le=50)] = Field(
        description="Alpha/beta of the tumour"
    )
    tumor_alpha_beta_citation: str = Field(min_length=1, description="Where it comes from")
    dose_grid_mm: Annotated[float, Field(ge=1, le=10)] = Field(description="Dose voxel size")
    structure_ends: Literal["flat", "short"] = Field(
        description="First and last contour: half a slice on (flat), or as Eclipse does (short)"
    )
    n_correction_passes: Annotated[int, Field(ge=0, le=6)] = Field(
        description="Optimisations repeated against the final dose"
    )
    n_leaf_refinements: Annotated[int, Field(ge=0, le=4)] = Field(
        default=0, description="Times that leaves are refined on their own dose at the end"
    )
    max_evaluations: Annotated[int, Field(ge=10, le=5000)] = Field(
        description="Evaluations of the objective in the first optimisation"
    )
    seed: int = Field(description="Of everything random")
    spine_level: Literal[
        "cervical", "thoracic", "lumbar, above the end of the conus", "below the conus", "unknown"
    ] = Field(
        default="unknown",
        description="Where along the spine the targets lie; limits for the level of the cord hold "
        "only if it is stated and above the end of the conus",
    )


Reach = Annotated[float, Field(ge=0, le=30)]


class RobustnessTable(Strict):
    """How far what is believed may be off; with this table the plan holds against it."""

    prior_shift_mm: tuple[Reach, Reach, Reach] = Field(
        description="The earlier dose may lie this far off along x, y, z within an organ: the "
        "uncertainty of the registration"
    )
    setup_shift_mm: tuple[Reach, Reach, Reach] = Field(
        description="The patient may lie this far off along x, y, z in all fractions"
    )
    alpha_beta_spread_gy: Annotated[float, Field(ge=0, le=10)] = Field(
        description="Alpha/beta of organs may be this much lower or higher than their limits'"
    )
    recovery_spread: Annotated[float, Field(ge=0, le=1)] = Field(
        description="Share by which the earlier dose may have been forgotten less than assumed"
    )


Density = Annotated[float, Field(ge=0, le=25)]
DensityKind = Literal["mass_density", "electron_density"]


class CtCalibrationTable(Strict):
    """A curve from CT number to density of one scanner."""

    name: str = Field(min_length=1, description="What planning.hounsfield_curve calls it")
    scanner: str = Field(min_length=1, description="Manufacturer and model, as the CT names them")
    kvp: Annotated[float, Field(gt=0, le=200)] | Unknown = Field(
        description="Tube voltage that it was measured at, in kV"
    )
    quantity: DensityKind = Field(
        description="Grams per volume, or electrons per volume as the density of the water with "
        "as many (relative electron density)"
    )
    source: str = Field(min_length=1, description="Who measured it, when, with which phantom")
    points: tuple[tuple[float, Density], ...] = Field(
        default=(), description="CT number in HU and density in g/cm3, ascending from air"
    )
    file: str = Field(
        default="", description="Instead of points: CSV file HU,density, relative to this file"
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if bool(self.points) == bool(self.file):
            msg = f"ct_calibration {self.name}: give exactly one of points and file"
            raise ValueError(msg)
        return self


class DensityOverrideTable(Strict):
    """A density for a structure in which the CT is wrong, or that is not on the CT."""

    structure: str = Field(description="Structure as named in the structure set")
    density_g_cm3: Density = Field(description="Density inside it")
    quantity: DensityKind = Field(
        default="mass_density", description="What the density counts, as in ct_calibration"
    )
    reason: str = Field(min_length=1, description="Why; it is printed in the report")


class CouchStructureTable(Strict):
    """A drawn part of the couch."""

    structure: str = Field(description="As named in the structure set, such as CouchSurface")
    density_g_cm3: Density = Field(description="Of the water that attenuates alike")
    source: str = Field(min_length=1, description="Where the density comes from")


class CouchPanelTable(Strict):
    """A couch top as a flat stack of layers, endless along the patient."""

    name: str = Field(min_length=1, description="What planning.couch calls it")
    model: str = Field(default="", description="One that ships, or empty: then layers and width")
    layers: tuple[tuple[Annotated[float, Field(gt=0)], Density], ...] = Field(
        default=(),
        description="Thickness in mm and density in g/cm3 of the water that attenuates alike, "
        "from the patient downwards",
    )
    width_mm: Annotated[float, Field(ge=0, le=2000)] = Field(
        default=0.0, description="Across the patient; with layers"
    )
    top_y_mm: float = Field(description="Patient y of the surface that the patient lies on")
    center_x_mm: float = Field(description="Patient x of its middle")
    source: str = Field(default="", description="Where the layers come from; with layers")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        own = (bool(self.layers), self.width_mm > 0, bool(self.source))
        if any(own) if self.model else not all(own):
            msg = f"couch_panel {self.name}: give either model, or layers, width_mm and source"
            raise ValueError(msg)
        return self


class LedgerTable(Strict):
    """The ledger that the history is read from, instead of from this file."""

    where: str = Field(
        min_length=1, description="File, relative to this one, or URL (postgresql+psycopg://...)"
    )
    patient_id: str = Field(
        default="", description="Whose; empty takes the planning CT's, and nothing else is allowed"
    )
    current_course: str = Field(
        default="",
        description="Key or title of today's course if it is in the ledger already; else empty",
    )


Isodose = Annotated[float, Field(gt=0, le=200)]


class ConsultTable(Strict):
    """What people state for the consult report; an empty text leaves a line to write on."""

    requested_by: str = Field(default="", description="Who asks for the consult")
    physicist: str = Field(default="", description="Who answers it")
    reason: str = Field(default="", description="Why it is asked for")
    performance_status: str = Field(default="", description="Before this course, with its scale")
    life_expectancy: str = Field(default="", description="As estimated before this course")
    quality_of_life: str = Field(default="", description="Before this course, with its scale")
    response_to_earlier_courses: str = Field(default="", description="Of the tumour")
    toxicity_of_earlier_courses: str = Field(default="", description="Acute and late, with grade")
    multidisciplinary_decision: str = Field(default="", description="Who decided, and when")
    shared_decision: str = Field(default="", description="What the patient was told and chose")
    registration_checked_by: str = Field(default="", description="Who looked at the registration")
    follow_up: str = Field(default="", description="How toxicity and outcome will be followed")
    earlier_isodose_gy: Isodose | None = Field(
        default=None, description="Physical dose that counts as irradiated in earlier courses"
    )
    current_isodose_gy: Isodose | None = Field(
        default=None, description="Physical dose that counts as irradiated in this course"
    )
    is_toxicity_a_concern: bool | Unknown = Field(
        default="unknown", description="Whether toxicity of the cumulative dose is a concern"
    )
    is_same_organ: bool | Unknown = Field(
        default="unknown", description="Whether the same organ is irradiated again"
    )


class ReturnedPlanTable(Strict):
    """A plan made elsewhere under this case's limits; `rerad run` judges it beside its own."""

    dose_uid: str = Field(
        min_length=1, description="Its RTDOSE in the data folder: total physical dose of the plan"
    )
    plan_uid: str = Field(default="", description="Its RTPLAN; or empty, with n_fractions")
    n_fractions: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None, description="Fractions that the dose is the total of, without an RTPLAN"
    )

    @model_validator(mode="after")
    def _has_fractions(self) -> Self:
        if not self.plan_uid and self.n_fractions is None:
            msg = "returned_plan: give its plan_uid, or n_fractions"
            raise ValueError(msg)
        return self


class CaseTables(Strict):
    """What a case holds besides the history."""

    schema_version: Literal[1] = Field(description="Version of this format")
    title: str = Field(min_length=1, description="What to call the case")
    assumptions: tuple[str, ...] = Field(
        default=(), description="Assumed because the record does not say; printed in the report"
    )
    unknowns: tuple[str, ...] = Field(default=(), description="What nobody could say, in words")
    goals: tuple[str, ...] = Field(
        default=(),
        description="Clinical goals besides the rule set's limits, one line each, such as "
        '"1: PTV_4000 D95% >= 95%" or "SacralPlex_R D0.1cc[EQD2] <= 70 ab=2.5 must"',
    )
    patient: PatientTable
    data: DataTable
    current_course: CourseTable
    planning: PlanningTable
    beams: BeamsTable
    objectives: ObjectivesTable
    robustness: RobustnessTable | None = None
    ledger: LedgerTable | None = None
    consult: ConsultTable | None = None
    pet: PetTable | None = None
    nerves: NervesTable | None = None
    returned_plan: ReturnedPlanTable | None = None
    prior_course: tuple[PriorCourseTable, ...] = ()
    goal: tuple[GoalTable, ...] = ()
    accepted_breach: tuple[AcceptedBreachTable, ...] = ()
    ct_calibration: tuple[CtCalibrationTable, ...] = ()
    density_override: tuple[DensityOverrideTable, ...] = ()
    couch_structure: tuple[CouchStructureTable, ...] = ()
    couch_panel: tuple[CouchPanelTable, ...] = ()


class CaseFile(HistoryTables, CaseTables):
    """A whole case."""
