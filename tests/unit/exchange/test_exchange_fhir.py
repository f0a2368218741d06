"""FHIR out and in: nothing is lost, the guide's rules hold, wrong units are caught."""

import copy
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bodystructure import BodyStructure
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.patient import Patient
from fhir.resources.R4B.procedure import Procedure
from fhir.resources.R4B.servicerequest import ServiceRequest

from rerad.case.history_files import read_history_file
from rerad.core import RecordGrade
from rerad.core.clinical_history import (
    NOT_APPLICABLE,
    NOT_ASKED,
    UNKNOWN,
    ClinicalHistory,
    CoursePhase,
    CourseRecord,
    DicomReference,
    PatientRecord,
    PhaseVolume,
    PointDose,
)
from rerad.errors import InputError
from rerad.exchange import check_bundle, codes, courses_of_bundle, fhir_bundle
from rerad.exchange.constraints import CONSTRAINTS, GUIDE_METRIC_UNIT

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "published_case" / "history.toml"
MODELS = {
    "Patient": Patient,
    "Procedure": Procedure,
    "ServiceRequest": ServiceRequest,
    "BodyStructure": BodyStructure,
}


def full_course() -> CourseRecord:
    """A course with every field, and every kind of absence."""
    first = CoursePhase(
        name="pelvis",
        n_fractions_planned=25,
        n_fractions_delivered=25,
        start=date(2020, 1, 2),
        end=date(2020, 2, 6),
        volumes=(
            PhaseVolume(structure="PTV", prescribed_gy=45.0, planned_gy=45.1, delivered_gy=45.1),
            PhaseVolume(structure="GTV", prescribed_gy=55.0, delivered_gy=UNKNOWN),
        ),
    )
    boost = CoursePhase(
        name="boost",
        n_fractions_planned=UNKNOWN,
        n_fractions_delivered=3,
        start=UNKNOWN,
        volumes=(PhaseVolume(structure="GTV", prescribed_gy=5.4, delivered_gy=5.4),),
    )
    return CourseRecord(
        key="course_1",
        order=7,
        text="Said so.",
        when="then",
        date=NOT_APPLICABLE,
        source="letter",
        title="First course",
        site="Pelvis",
        technique="IMRT with a boost",
        modality="photons",
        intent="curative",
        institution="elsewhere",
        is_reirradiation=False,
        n_fractions_planned=28,
        n_fractions_delivered=27,
        delivered_dose_gy=50.123456789,
        start=date(2020, 1, 2),
        end=UNKNOWN,
        months_since_previous=NOT_APPLICABLE,
        stop_reason="wanted to go home",
        grade=RecordGrade.PAPER,
        phases=(first, boost),
        partial_fractions=(0.25, 0.5),
        point_doses=(PointDose(structure="Rectum", max_gy=44.4, source=UNKNOWN),),
        references=(DicomReference(kind="RTDOSE", uid="1.2.3", sha256="ab"),),
    )


def bare_course() -> CourseRecord:
    """A course of which nothing was asked."""
    return CourseRecord(key="bare", order=3, text="", title="Bare")


PATIENT = PatientRecord(
    patient_id="P-1",
    text="Who she is.",
    name="Doe^Jane",
    birth_date=date(1970, 1, 1),
    sex="F",
    age_years=47,
    unknowns=("this", "that"),
)


def resources(bundle: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind]


def courses(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        r
        for r in resources(bundle, "Procedure")
        if r["code"]["coding"][0]["code"] == codes.COURSE_CODE[0]
    ]


@pytest.fixture(scope="module")
def published() -> ClinicalHistory:
    return read_history_file(EXAMPLE)


@pytest.mark.parametrize(
    "course",
    [
        full_course(),
        bare_course(),
        replace(bare_course(), technique="VMAT", modality=NOT_ASKED),
        replace(bare_course(), technique=UNKNOWN, modality=UNKNOWN, intent=UNKNOWN, site=UNKNOWN),
        replace(bare_course(), modality="neutrons", intent="ablative", end=date(2020, 1, 1)),
        replace(bare_course(), n_fractions_planned=NOT_APPLICABLE, institution=NOT_APPLICABLE),
        replace(bare_course(), phases=(CoursePhase(name="empty"), CoursePhase(name="two"))),
    ],
)
def test_a_course_comes_back_with_every_field(course: CourseRecord) -> None:
    bundle = json.loads(json.dumps(fhir_bundle(ClinicalHistory(PATIENT, (course,)))))
    assert not [p for p in check_bundle(bundle) if p.is_error]
    assert courses_of_bundle(bundle).courses == (course,)


@pytest.mark.parametrize(
    "patient",
    [
        PATIENT,
        PatientRecord(patient_id="P", text=""),
        PatientRecord(patient_id="P", text="x", name=UNKNOWN, birth_date=UNKNOWN, sex=UNKNOWN),
        PatientRecord(patient_id="P", text="x", name="Mononym", source="letter", sex="O"),
    ],
)
def test_a_patient_comes_back_with_every_field(patient: PatientRecord) -> None:
    bundle = fhir_bundle(ClinicalHistory(patient, (full_course(),)))
    assert courses_of_bundle(bundle).patient == patient


def test_the_published_case_goes_out_and_comes_back(published: ClinicalHistory) -> None:
    bundle = fhir_bundle(published, alpha_betas_gy=(2.0, 10.0))
    read = courses_of_bundle(bundle)
    assert read.courses == published.of_kind(CourseRecord)
    first, second = courses(bundle)
    assert (first["status"], second["status"]) == ("completed", "stopped")
    flags = [
        e["valueBoolean"]
        for course in (first, second)
        for e in course["extension"]
        if e["url"] == codes.REIRRADIATION
    ]
    assert flags == [False, True]
    # 27 Gy in 15 fractions: EQD2(2) 25.65, EQD2(10) 26.55 (independent worked example)
    metrics = {(m.course, m.structure, m.alpha_beta_gy): m.value_gy for m in read.metrics}
    assert metrics == {
        ("course-2", "GTV", 2.0): pytest.approx(25.65),
        ("course-2", "GTV", 10.0): pytest.approx(26.55),
    }
    warned = [w.text for w in read.warnings]
    assert warned == ["unit 'EQD2Gy(a/b=10)' does not fit the guide's pattern of metric units"]


def test_doses_are_in_cgy_and_metrics_in_gy() -> None:
    bundle = fhir_bundle(ClinicalHistory(PATIENT, (full_course(),)), alpha_betas_gy=(3.0,))
    doses = [
        part["valueQuantity"]
        for dose in courses(bundle)[0]["extension"]
        if dose["url"] == codes.DOSE_DELIVERED
        for part in dose["extension"]
        if "valueQuantity" in part
    ]
    assert doses[0] == {"value": 4510.0, "unit": "cGy", "system": codes.UCUM, "code": "cGy"}
    assert doses[1]["unit"] == "EQD2Gy(a/b=3)"
    # 45.1 Gy in 25 fractions, d = 1.804: 45.1 * (1.804 + 3) / 5
    assert doses[1]["value"] == pytest.approx(45.1 * 4.804 / 5, abs=1e-4)


def modelled(item: Any) -> Any:
    """Leave out primitive values that are absent: the models know them in resources only."""
    if isinstance(item, list):
        kept = [e for e in item if not any(n.startswith("_value") for n in _names(e))]
        return [modelled(e) for e in kept]
    return {name: modelled(value) for name, value in item.items()} if _names(item) else item


def _names(item: Any) -> tuple[str, ...]:
    return tuple(item) if isinstance(item, dict) else ()


def test_structural_models_take_every_resource(published: ClinicalHistory) -> None:
    for history in (published, ClinicalHistory(PATIENT, (full_course(), bare_course()))):
        bundle = modelled(fhir_bundle(history, alpha_betas_gy=(2.5,)))
        Bundle.model_validate(bundle)
        for entry in bundle["entry"]:
            MODELS[entry["resource"]["resourceType"]].model_validate(entry["resource"])


def test_the_guide_has_no_room_for_alpha_beta_of_ten() -> None:
    assert GUIDE_METRIC_UNIT.match("EQD2Gy(a/b=2.5)")
    assert not GUIDE_METRIC_UNIT.match("EQD2Gy(a/b=10)")


def _first_dose(course: dict[str, Any]) -> dict[str, Any]:
    return next(
        part["valueQuantity"]
        for item in course["extension"]
        if item["url"] == codes.DOSE_DELIVERED
        for part in item["extension"]
        if part["url"] == "totalDoseDelivered" and "value" in part["valueQuantity"]
    )


def _uniform(course: dict[str, Any]) -> None:
    for item in course["extension"]:
        if item["url"] == codes.DOSE_DELIVERED:
            item["extension"] = [e for e in item["extension"] if e["url"] != codes.UNIFORM]


def _metric_in_cgy(course: dict[str, Any]) -> None:
    for item in course["extension"]:
        for part in item.get("extension", []):
            if part["url"] == codes.METRIC:
                part["valueQuantity"] = {"value": 2565.0, "unit": "cGy", "code": "cGy"}


@pytest.mark.parametrize(
    ("code", "change", "expected"),
    [
        ("dose-in-cgy", lambda c: _first_dose(c).update(code="Gy"), "cGy, got 2700.0 Gy"),
        ("dose-in-cgy", lambda c: _first_dose(c).pop("code"), "cGy, got 2700.0 None"),
        ("dose-unit", lambda c: _first_dose(c).update(unit="Gy"), "unit 'Gy' beside code cGy"),
        ("metric", _metric_in_cgy, "expected a radiobiologic metric in Gy, got cGy"),
        ("codexrt-procedure-status", lambda c: c.update(status="unknown"), "got 'unknown'"),
        ("category", lambda c: c.update(category={}), "expected category 1287742003"),
        ("subject", lambda c: c.pop("subject"), "expected subject to refer to a patient"),
        ("identifier", lambda c: c["identifier"].pop(0), "one identifier of use usual"),
        ("identifier", lambda c: c["identifier"].pop(1), "identifier of use official"),
        (
            "identifier",
            lambda c: c["identifier"][1].update(value="1.2.3"),
            "expected a DICOM UID as urn:oid:",
        ),
        (
            "performed-period",
            lambda c: c.update(performedDateTime="2020"),
            "expected performedPeriod, got performedDateTime",
        ),
        (
            "performed-period",
            lambda c: c.update(performedPeriod={"start": "2020-02-01", "end": "2020-01-01"}),
            "ends on 2020-01-01, before",
        ),
        (
            "status-reason",
            lambda c: c.update(statusReason={"coding": [{"code": "1"}]}),
            "'1' is no termination reason",
        ),
        ("uniform-fractionation", _uniform, "say once whether it is uniform, got 0"),
        (
            "one-reirradiation",
            lambda c: c["extension"].append({"url": codes.REIRRADIATION, "valueBoolean": True}),
            "at most once, got 2",
        ),
    ],
)
def test_a_broken_rule_is_found_and_the_import_refused(
    published: ClinicalHistory, code: str, change: Any, expected: str
) -> None:
    bundle = copy.deepcopy(fhir_bundle(published, alpha_betas_gy=(2.0,)))
    change(courses(bundle)[1])
    found = [p for p in check_bundle(bundle) if p.code == code and p.is_error]
    assert found
    assert expected in found[0].text
    with pytest.raises(InputError, match=re.escape(found[0].where)):
        courses_of_bundle(bundle)


def test_every_rule_has_a_name_of_its_own() -> None:
    names = [rule.code for rule in CONSTRAINTS]
    assert len(set(names)) == len(names) >= 20


def foreign_bundle() -> dict[str, Any]:
    """A second course as another system states it (values of the guide's example XRTS-05)."""
    patient = {"reference": "Patient/p"}
    volume = {"reference": "BodyStructure/v", "display": "Brain Mets"}
    photons, arcs = codes.MODALITIES["photons"], codes.TECHNIQUES["VMAT"]
    identifiers = [
        {"use": "usual", "system": "http://example.org/course", "value": "C2BrainMets"},
        {
            "use": "official",
            "system": "urn:dicom:uid",
            "value": "urn:oid:1.2.246.352.72.842418.2121.20150602151.05.02.22.1",
        },
    ]
    dose = {
        "url": codes.DOSE_DELIVERED,
        "extension": [
            {"url": "volume", "valueReference": volume},
            {
                "url": "totalDoseDelivered",
                "valueQuantity": {"value": 2000, "system": codes.UCUM, "code": "cGy"},
            },
            {"url": "fractionsDelivered", "valueUnsignedInt": 5},
            {"url": codes.UNIFORM, "valueBoolean": True},
        ],
    }
    technique = {
        "url": codes.MODALITY_AND_TECHNIQUE,
        "extension": [
            {
                "url": url,
                "valueCodeableConcept": {
                    "coding": [{"system": codes.SNOMED, "code": code, "display": display}]
                },
            }
            for url, (code, display) in ((codes.MODALITY, photons), (codes.TECHNIQUE, arcs))
        ],
    }
    course = {
        "resourceType": "Procedure",
        "id": "c2",
        "meta": {"profile": list(codes.COURSE_PROFILES)},
        "extension": [technique, {"url": codes.REIRRADIATION, "valueBoolean": True}, dose],
        "identifier": identifiers,
        "status": "completed",
        "category": {"coding": [{"system": codes.SNOMED, "code": codes.OLD_RADIOTHERAPY}]},
        "code": {"coding": [{"system": codes.SNOMED, "code": codes.COURSE_CODE[0]}]},
        "subject": patient,
        "performedPeriod": {
            "start": "2021-09-20T13:15:17+01:00",
            "end": "2021-09-24T13:21:17+01:00",
        },
        "bodySite": [{"coding": [{"code": "12738006", "display": "Brain structure"}]}],
    }
    who = {
        "resourceType": "Patient",
        "id": "p",
        "identifier": [{"value": "XRTS-05"}],
        "gender": "female",
        "name": [{"family": "Doe", "given": ["Jane"]}],
    }
    planned = {
        "resourceType": "ServiceRequest",
        "id": "pc2",
        "meta": {"profile": [codes.PLANNED_COURSE_PROFILE]},
        "extension": [
            {
                "url": codes.DOSE_PLANNED,
                "extension": [
                    {"url": "volume", "valueReference": volume},
                    {
                        "url": "totalDose",
                        "valueQuantity": {"value": 2000, "system": codes.UCUM, "code": "cGy"},
                    },
                    {"url": "fractions", "valuePositiveInt": 5},
                ],
            }
        ],
        "identifier": identifiers,
        "status": "completed",
        "intent": "filler-order",
        "category": [{"coding": [{"system": codes.SNOMED, "code": codes.OLD_RADIOTHERAPY}]}],
        "code": {"coding": [{"system": codes.SNOMED, "code": codes.COURSE_CODE[0]}]},
        "subject": patient,
    }
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [
            {"resource": who},
            {"resource": course | {"basedOn": [{"reference": "urn:uuid:of-the-plan"}]}},
            {"resource": planned, "fullUrl": "urn:uuid:of-the-plan"},
        ],
    }


def test_a_course_of_another_system_is_read() -> None:
    read = courses_of_bundle(foreign_bundle())
    (course,) = read.courses
    assert (course.key, course.title, course.site) == (
        "C2BrainMets",
        "C2BrainMets",
        "Brain structure",
    )
    assert (course.start, course.end) == (date(2021, 9, 20), date(2021, 9, 24))
    assert course.is_reirradiation is True
    assert course.n_fractions_delivered == 5
    assert course.n_fractions_planned == course.phases[0].n_fractions_planned == 5
    assert course.technique == codes.TECHNIQUES["VMAT"][1]
    assert course.phases[0].volumes == (
        PhaseVolume(structure="Brain Mets", planned_gy=20.0, delivered_gy=20.0),
    )
    assert (read.patient.patient_id, read.patient.name, read.patient.sex) == (
        "XRTS-05",
        "Doe^Jane",
        "F",
    )
    assert {w.code for w in read.warnings} == {"category-of-older-guide"}


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(InputError, match="expected a Bundle, got 'Patient'"):
        courses_of_bundle({"resourceType": "Patient"})
    with pytest.raises(InputError, match="expected a bundle with one Patient, got 0"):
        courses_of_bundle({"resourceType": "Bundle", "entry": []})
    none = CoursePhase(name="none", n_fractions_planned=0)
    with pytest.raises(InputError, match="planned with 0 fractions has no place"):
        fhir_bundle(ClinicalHistory(PATIENT, (replace(bare_course(), phases=(none,)),)))


def _places(item: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the ways to every part of a bundle."""
    pairs = item.items() if isinstance(item, dict) else enumerate(item)
    for key, value in pairs:
        yield (*way, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*way, key))


@pytest.mark.parametrize("wrong", ["gone", "x", None, [], {}, 7], ids=repr)
def test_a_bundle_of_odd_build_is_read_or_refused_in_a_sentence(wrong: Any) -> None:
    n_refused = 0
    for way in list(_places(foreign_bundle())):
        bundle = foreign_bundle()
        holder: Any = bundle
        for step in way[:-1]:
            holder = holder[step]
        if wrong == "gone":
            del holder[way[-1]]
        else:
            holder[way[-1]] = wrong
        with suppress(InputError):
            courses_of_bundle(bundle)
            continue
        n_refused += 1
    assert n_refused > 20


def test_the_place_of_an_odd_build_is_named() -> None:
    bundle = foreign_bundle()
    bundle["entry"][1]["resource"]["identifier"] = "C2"
    with pytest.raises(
        InputError, match=r"bundle\.entry\[1\]\.resource\.identifier: expected a list of objects"
    ):
        courses_of_bundle(bundle)
    bundle = foreign_bundle()
    bundle["entry"][1]["resource"]["status"] = None
    with pytest.raises(InputError, match=r"\.status: expected a .*, got null|got None"):
        courses_of_bundle(bundle)


def test_a_year_or_a_month_is_no_day() -> None:
    bundle = foreign_bundle()
    bundle["entry"][0]["resource"]["birthDate"] = "1970"
    bundle["entry"][1]["resource"]["performedPeriod"] = {"start": "2021-09", "end": "2021-09-24"}
    read = courses_of_bundle(bundle)
    assert read.patient.birth_date is UNKNOWN
    assert (read.courses[0].start, read.courses[0].end) == (UNKNOWN, date(2021, 9, 24))
    bundle["entry"][1]["resource"]["performedPeriod"] = {"start": "last autumn"}
    with pytest.raises(InputError, match="expected a date such as 2021-09-20, got 'last autumn'"):
        courses_of_bundle(bundle)
