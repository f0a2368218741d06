"""The patient's history in a file: the same tables in ``history.toml`` and in ``case.toml``.

What is absent has a word: ``"unknown"`` (asked, nobody could say), ``"not applicable"``, and
``"not asked"``, which is also what a key that is left out says. Units are in the key names.
"""

from datetime import date
from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

HISTORY_VERSION = 1
"""Raised when a key of the history changes its meaning or goes."""

Unknown = Literal["unknown"]
AbsentWord = Literal["unknown", "not applicable", "not asked"]
ABSENT_WORDS: tuple[str, ...] = get_args(AbsentWord)
FractionCount = Annotated[int, Field(ge=0, le=200)] | AbsentWord
KnownDate = date | AbsentWord
Day = date | AbsentWord
Number = Annotated[float, Field(ge=0, strict=True)] | AbsentWord
Count = Annotated[int, Field(ge=0, strict=True)] | AbsentWord
Flag = Annotated[bool, Field(strict=True)] | AbsentWord
Side = Literal["right", "left", "both", "midline"] | AbsentWord
NOT_ASKED: Literal["not asked"] = "not asked"

EVENT_KINDS = Literal[
    "diagnosis",
    "surgery",
    "systemic therapy",
    "imaging",
    "symptom",
    "function",
    "drug",
    "outcome",
]


class Strict(BaseModel):
    """Base of all tables: unknown keys are refused, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RecordTable(Strict):
    """What every record has."""

    key: str = Field(
        default="", description="Name of the record; left out, it is made from kind and place"
    )
    order: Annotated[int, Field(ge=0)] = Field(description="Place in the story, among all records")
    text: str = Field(default="", description="What the source says")
    when: str = Field(default=NOT_ASKED, description="When, in the source's words")
    date: Day = Field(default=NOT_ASKED, description="YYYY-MM-DD")
    source: str = Field(default=NOT_ASKED, description="Where the statement was read")


class DiagnosisTable(RecordTable):
    """A disease with its stage and histology."""

    title: str = Field(description="The disease")
    site: str = Field(default=NOT_ASKED, description="Where")
    histology: str = Field(default=NOT_ASKED, description="Histology")
    stage: str = Field(default=NOT_ASKED, description="Stage")
    stage_system: str = Field(default=NOT_ASKED, description="Of the stage: FIGO 2018, TNM 8")
    is_metastatic: Flag = Field(default=NOT_ASKED, description="Whether it is a metastasis")


class SurgeryTable(RecordTable):
    """An operation."""

    operation: str = Field(default=NOT_ASKED, description="Which operation")
    site: str = Field(default=NOT_ASKED, description="Where")
    findings: str = Field(default=NOT_ASKED, description="Findings, margins, nodes")


class DrugTable(Strict):
    """One drug of a regimen."""

    drug: str = Field(description="Name of the drug")
    dose_mg: Number = Field(default=NOT_ASKED, description="Of one administration")
    every_days: Number = Field(default=NOT_ASKED, description="Days between administrations")
    route: str = Field(default=NOT_ASKED, description="Route")


class SystemicTherapyTable(RecordTable):
    """A regimen with its cycles."""

    title: str = Field(description="Name of the regimen")
    setting: str = Field(default=NOT_ASKED, description="Adjuvant, concurrent, palliative ...")
    n_cycles_planned: Count = Field(default=NOT_ASKED, description="Cycles planned")
    n_cycles_given: Count = Field(default=NOT_ASKED, description="Cycles given")
    concurrent_with: str = Field(
        default=NOT_ASKED, description="Key of the radiotherapy course that it was given with"
    )
    drugs: tuple[DrugTable, ...] = ()


class FindingTable(Strict):
    """What an imaging study shows at one place."""

    statement: str = Field(description="What is seen")
    site: str = Field(default=NOT_ASKED, description="Where")
    side: Side = Field(default=NOT_ASKED, description="Which side")
    is_abnormal: Flag = Field(default=NOT_ASKED, description="Whether it is abnormal")


class ImagingTable(RecordTable):
    """An imaging study with its findings."""

    modality: str = Field(description="MRI, bone scan, PET/CT ...")
    region: str = Field(default=NOT_ASKED, description="What was imaged")
    study_uid: str = Field(default=NOT_ASKED, description="DICOM Study Instance UID")
    findings: tuple[FindingTable, ...] = ()


class SymptomTable(RecordTable):
    """A symptom on a scale."""

    symptom: str = Field(description="pain, for example")
    scale: str = Field(default=NOT_ASKED, description="VAS 0-10, NRS 0-10 ...")
    lowest: Number = Field(default=NOT_ASKED, description="Score, or its lower end")
    highest: Number = Field(default=NOT_ASKED, description="Score, or its upper end")
    site: str = Field(default=NOT_ASKED, description="Where")
    side: Side = Field(default=NOT_ASKED, description="Which side")
    is_treated_site: Flag = Field(
        default=NOT_ASKED, description="Whether this is what was, or is to be, irradiated"
    )


class StrengthTable(RecordTable):
    """Muscle strength; its place in the order of grades is worked out from the grade."""

    grade: str = Field(default=NOT_ASKED, description="As written: 2+, 4-")
    ordinal: Count = Field(default=NOT_ASKED, description="Left out; worked out from the grade")
    scale: str = Field(default=NOT_ASKED, description="MRC, Kendall ...")
    side: Side = Field(default=NOT_ASKED, description="Which side")
    muscle_group: str = Field(default=NOT_ASKED, description="Which muscles")


class OpioidTable(RecordTable):
    """An opioid as prescribed; the oral morphine equivalent is worked out where it can be."""

    drug: str = Field(description="Name of the drug")
    dose_mg: Number = Field(default=NOT_ASKED, description="Of one dose")
    every_hours: Number = Field(default=NOT_ASKED, description="Hours between doses")
    route: str = Field(default=NOT_ASKED, description="oral, transdermal ...")
    oral_morphine_mg_day: Number = Field(
        default=NOT_ASKED, description="Daily oral morphine equivalent, if the source states it"
    )
    conversion_table: str = Field(
        default=NOT_ASKED, description="Table that the equivalent was worked out with"
    )


class ToxicityTable(RecordTable):
    """An adverse event with its grade."""

    term: str = Field(description="Term of the grading system")
    system: str = Field(default=NOT_ASKED, description="CTCAE v5, RTOG ...")
    grade: Count = Field(default=NOT_ASKED, description="Grade")
    attribution: str = Field(default=NOT_ASKED, description="unrelated to definite")
    course: str = Field(default=NOT_ASKED, description="Key of the course it is put down to")


class FollowUpTable(RecordTable):
    """A visit."""

    is_alive: Flag = Field(default=NOT_ASKED, description="Whether the patient lives")
    ecog: Count = Field(default=NOT_ASKED, description="ECOG performance status, 0 to 5")
    disease_status: str = Field(default=NOT_ASKED, description="Of the disease")


class DeathTable(RecordTable):
    """Death with its cause."""

    cause: str = Field(default=NOT_ASKED, description="Cause")


class PrescriptionTable(Strict):
    """Dose to one target."""

    structure: str = Field(description="Target as named in the structure set")
    dose_gy: Annotated[float, Field(gt=0, le=200)] = Field(description="Total physical dose")
    up_to_gy: Annotated[float, Field(gt=0, lt=200)] | None = Field(
        default=None, description="As much as the limits allow, up to this; of today's course only"
    )

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if self.up_to_gy is not None and self.up_to_gy <= self.dose_gy:
            msg = f"{self.structure}: expected an up_to_gy above dose_gy, or none, "
            msg += f"got {self.up_to_gy:g} and {self.dose_gy:g} Gy"
            raise ValueError(msg)
        return self


class VolumeTable(Strict):
    """Dose to one volume in one phase: prescribed, planned and delivered."""

    structure: str = Field(description="Volume")
    prescribed_gy: Number = Field(default=NOT_ASKED, description="Prescribed physical dose")
    planned_gy: Number = Field(default=NOT_ASKED, description="As the plan gives it")
    delivered_gy: Number = Field(default=NOT_ASKED, description="As delivered")


class PhaseTable(Strict):
    """One phase of a course."""

    name: str = Field(description="What to call it")
    n_fractions_planned: Count = Field(default=NOT_ASKED, description="Fractions planned")
    n_fractions_delivered: Count = Field(default=NOT_ASKED, description="Fractions given")
    start: Day = Field(default=NOT_ASKED, description="First fraction, YYYY-MM-DD")
    end: Day = Field(default=NOT_ASKED, description="Last fraction, YYYY-MM-DD")
    volumes: tuple[VolumeTable, ...] = ()


class ReferenceTable(Strict):
    """A DICOM object or series of a course."""

    kind: str = Field(description="CT, RTSTRUCT, RTPLAN, RTDOSE ...")
    uid: str = Field(description="Series Instance UID of images, SOP Instance UID of others")
    sha256: str = Field(default=NOT_ASKED, description="Hash of the bytes, in hexadecimal digits")


class CourseTable(Strict):
    """What every course has."""

    name: str = Field(description="What to call it")
    key: str = Field(default="", description="Name of the record; left out, made from the name")
    site: str = Field(default="", description="Treated site; empty if not stated")
    technique: str = Field(default="", description="Technique; empty if not stated")
    prescriptions: tuple[PrescriptionTable, ...] = Field(
        default=(), description="Levels of a simultaneous integrated boost are separate entries"
    )
    n_fractions_planned: FractionCount = Field(description='Fractions planned, or "unknown"')
    n_fractions_delivered: FractionCount = Field(description='Fractions given, or "unknown"')
    delivered_dose_gy: Annotated[float, Field(ge=0, le=200)] | AbsentWord = Field(
        default="unknown", description="Dose that the record itself states as delivered"
    )
    start_date: KnownDate = Field(default="unknown", description="First fraction, YYYY-MM-DD")
    end_date: KnownDate = Field(default="unknown", description="Last fraction, YYYY-MM-DD")
    stop_reason: str = Field(default="", description="Why it ended early; empty if not stated")
    note: str = Field(default="", description="Anything else on the record")
    order: int = Field(default=0, description="Place in the story, among the events")
    modality: str = Field(default=NOT_ASKED, description="photons, electrons, protons ...")
    intent: str = Field(default=NOT_ASKED, description="curative, palliative")
    institution: str = Field(default=NOT_ASKED, description="Where it was given")
    is_reirradiation: Flag = Field(default=NOT_ASKED, description="Whether dose was there before")
    months_since_previous: Number = Field(
        default=NOT_ASKED, description="From the end of the course before to the start of this one"
    )
    when: str = Field(default=NOT_ASKED, description="When, in the source's words")
    date: Day = Field(
        default=NOT_ASKED, description="Of the statement; start_date and end_date of the course"
    )
    source: str = Field(default=NOT_ASKED, description="Where the statement was read")
    phases: tuple[PhaseTable, ...] = ()
    references: tuple[ReferenceTable, ...] = ()

    @model_validator(mode="after")
    def _has_one_kind_of_levels(self) -> Self:
        if self.phases and self.prescriptions:
            msg = f"{self.name}: give prescriptions, or phases with their volumes, not both"
            raise ValueError(msg)
        return self


class PointDoseTable(Strict):
    """Highest dose of one organ, where no dose distribution is on record."""

    structure: str = Field(description="Organ as named in today's structure set")
    max_gy: Annotated[float, Field(ge=0, le=500)] = Field(
        description="Highest total physical dose as planned"
    )
    source: str = Field(min_length=1, description="Where it was read")


class TreatedRegionTable(Strict):
    """What was treated, where only paper is left: it is planned again as written."""

    structure: str = Field(default="", description="Treated region drawn on today's CT; or box_mm")
    box_mm: tuple[float, ...] = Field(
        default=(), description="Instead: low x, y, z and high x, y, z in today's patient system"
    )
    dose_gy: Annotated[float, Field(gt=0, lt=200)] = Field(
        description="Total physical dose prescribed to it"
    )
    gantry_angles_deg: tuple[tuple[Annotated[float, Field(ge=0, lt=360)], ...], ...] = Field(
        min_length=1, description="Of each technique that cannot be excluded, the likeliest first"
    )
    margin_mm: tuple[float, float] = Field(
        description="Smallest and largest margin from region to field edge"
    )
    place_uncertainty_mm: Annotated[float, Field(ge=0, lt=100)] = Field(
        description="By how much the region may have lain elsewhere"
    )
    source: str = Field(min_length=1, description="Who says so, and from what")

    @model_validator(mode="after")
    def _has_one_region(self) -> Self:
        if bool(self.structure) == bool(self.box_mm) or len(self.box_mm) not in {0, 6}:
            msg = "treated_regions: give exactly one of structure and box_mm (six numbers)"
            raise ValueError(msg)
        return self


class LandmarkTable(Strict):
    """The same anatomical point on the course's CT and on the planning CT."""

    name: str = Field(min_length=1, description="What it is")
    earlier_mm: tuple[float, float, float] = Field(
        description="x, y, z in the patient system of the course's CT"
    )
    today_mm: tuple[float, float, float] = Field(
        description="x, y, z in the patient system of the planning CT"
    )


class PriorCourseTable(CourseTable):
    """An earlier course; with UIDs if its data are in the data folder."""

    ct_series_uid: str = Field(default="", description="Its planning CT")
    structure_set_uid: str = Field(default="", description="Its structure set; or empty")
    plan_uid: str = Field(default="", description="Its RTPLAN; or empty")
    dose_uid: str = Field(default="", description="Its RTDOSE: total physical dose of the plan")
    interval_months: Annotated[float, Field(ge=0, le=1200)] | Unknown = Field(
        default="unknown", description='From its end to today\'s course, or "unknown"'
    )
    partial_fractions: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(), description="Share of the monitor units of each fraction broken off for good"
    )
    treatment_records: str = Field(
        default="",
        description="Folder with the RT Beams Treatment Records of plan_uid, relative to this "
        "file; the fractions given are counted from them",
    )
    registration_uid: str = Field(
        default="",
        description="REG in the data folder, rigid or deformable, that leads from its CT to the "
        "planning CT; used as given. Empty: registered here",
    )
    registration: Literal["rigid", "deformable"] = Field(
        default="rigid",
        description="Deformable: on top of the rigid one, and used only if it is assured",
    )
    guides: tuple[str, ...] = Field(
        default=(),
        description="Structures drawn on both CTs that lead the deformable registration; the "
        "others judge it",
    )
    landmarks: tuple[LandmarkTable, ...] = ()
    point_doses: tuple[PointDoseTable, ...] = ()
    treated_regions: tuple[TreatedRegionTable, ...] = ()

    @model_validator(mode="after")
    def _has_one_grade(self) -> Self:
        if any(item.up_to_gy is not None for item in self.prescriptions):
            msg = f"{self.name}: up_to_gy is for the course to be planned, not for an earlier one"
            raise ValueError(msg)
        kinds = bool(self.dose_uid), bool(self.point_doses), bool(self.treated_regions)
        if sum(kinds) > 1:
            msg = f"{self.name}: give one of dose_uid, point_doses and treated_regions"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _maps_a_dose(self) -> Self:
        is_mapped = self.registration_uid or self.registration != "rigid" or self.guides
        if (is_mapped or self.landmarks) and not self.dose_uid:
            msg = (
                f"{self.name}: registration_uid, registration, guides and landmarks are about "
                "mapping a dose; they need the dose_uid and ct_series_uid of the course"
            )
            raise ValueError(msg)
        if self.guides and self.registration != "deformable":
            msg = f"{self.name}: guides lead a deformable registration; set registration to it"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _needs_ct_with_dose(self) -> Self:
        if self.dose_uid and not self.ct_series_uid:
            msg = f"{self.name}: a dose_uid needs the ct_series_uid of the CT it was planned on"
            raise ValueError(msg)
        if self.treatment_records and not (self.dose_uid and self.plan_uid):
            msg = (
                f"{self.name}: treatment_records need the dose_uid and the plan_uid they belong to"
            )
            raise ValueError(msg)
        return self


class EventTable(Strict):
    """One thing that happened and that no other table has a place for."""

    order: int = Field(description="Place in the story, among the courses")
    key: str = Field(default="", description="Name of the record; left out, made from its place")
    kind: EVENT_KINDS = Field(description="What kind of thing")
    title: str = Field(description="A few words")
    text: str = Field(description="What the record says")
    when: str = Field(default="", description="When, in the record's words; empty if not stated")
    date: KnownDate = Field(default="unknown", description="YYYY-MM-DD")
    source: str = Field(default=NOT_ASKED, description="Where the statement was read")
    pain_score: tuple[float, float] | Unknown = Field(
        default="unknown", description="Lowest and highest of a score from 0 to 10"
    )
    muscle_grade: str = Field(default="", description="As written; empty if not stated")
    oral_morphine_mg_day: Annotated[float, Field(ge=0)] | Unknown = Field(
        default="unknown", description="Daily oral morphine equivalent"
    )


class HistoryTables(Strict):
    """What a history may hold besides courses, in either file."""

    diagnosis: tuple[DiagnosisTable, ...] = ()
    surgery: tuple[SurgeryTable, ...] = ()
    systemic_therapy: tuple[SystemicTherapyTable, ...] = ()
    imaging: tuple[ImagingTable, ...] = ()
    symptom: tuple[SymptomTable, ...] = ()
    strength: tuple[StrengthTable, ...] = ()
    opioid: tuple[OpioidTable, ...] = ()
    toxicity: tuple[ToxicityTable, ...] = ()
    follow_up: tuple[FollowUpTable, ...] = ()
    death: tuple[DeathTable, ...] = ()
    event: tuple[EventTable, ...] = ()


class HistoryPatientTable(Strict):
    """Who the history belongs to."""

    patient_id: str = Field(min_length=1, description="Identifier in files and ledger")
    summary: str = Field(description="One sentence: who the patient is and why treatment is asked")
    name: str = Field(default=NOT_ASKED, description="DICOM person name")
    birth_date: Day = Field(default=NOT_ASKED, description="YYYY-MM-DD")
    sex: Literal["F", "M", "O"] | AbsentWord = Field(default=NOT_ASKED, description="F, M or O")
    age_years: Count = Field(default=NOT_ASKED, description="Age that the record states")


class HistoryFile(HistoryTables):
    """A patient's whole history."""

    history_version: Literal[1] = Field(description="Version of this format")
    unknowns: tuple[str, ...] = Field(default=(), description="What nobody could say, in words")
    patient: HistoryPatientTable
    course: tuple[PriorCourseTable, ...] = ()
