"""What rerad exports, held to the rules of the guides; and every rule can be broken."""

import copy
import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from rerad.case.history_files import read_history_file
from rerad.core.clinical_history import (
    NOT_APPLICABLE,
    NOT_ASKED,
    UNKNOWN,
    ClinicalHistory,
    CoursePhase,
    CourseRecord,
    Diagnosis,
    PatientRecord,
    PhaseVolume,
)
from rerad.exchange import codes, courses_of_bundle, fhir_bundle

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "published_case" / "history.toml"

OF_MODALITY = {
    "TechniquesForPhotonBeamModality": (
        "1156506007",
        "441799006 1156530009 1162782007 1156526006 168524008 1163157007",
    ),
    "TechniquesForElectronBeamModality": (
        "45643008",
        "1162782007 1156526006 168524008 1163157007",
    ),
    "TechniquesForNeutronBeamModality": ("80347004", "169317000 1162782007"),
    "TechniquesForCarbonIonBeamModality": ("1156505006", "1156529004 1156528007 1204242009"),
    "TechniquesForProtonBeamModality": ("10611004", "1156529004 1156528007 1204242009 1163157007"),
    "TechniquesForInternalRadiotherapyPermanentSeeds": ("169359004", "113120007"),
    "TechniquesForLowDoseRateUsingTempRadSource": ("1156708005", "384692006 113120007 14473006"),
    "TechniquesForPulsedDoseRate": ("1156384006", "384692006 113120007"),
    "TechniquesForHighDoseRate": (
        "394902000",
        "384692006 1156382005 113120007 1156383000 384691004 168524008 14473006",
    ),
    "TechniquesForHighDoseRateElectronic": (
        "438629002",
        "384692006 1156382005 113120007 384691004 168524008 14473006",
    ),
    "TechniquesForRadioPharmaceutical": (
        "440252007",
        "16560241000119104 1156383000 384692006 113120007",
    ),
}
"""Invariants of mCODE's RadiotherapyModalityAndTechnique: modality, and allowed techniques."""

ADDRESSES = {name: str(getattr(codes, name)) for name in dir(codes) if name.isupper()}


@dataclass(frozen=True)
class Rule:
    """One rule of the guide, as FHIRPath."""

    name: str
    profiles: frozenset[str]
    is_error: bool
    path: str

    def holds(self, resource: dict[str, Any]) -> bool:
        return bool(compiled(self.path)(resource) == [True])


@cache
def compiled(path: str) -> Callable[[dict[str, Any]], list[Any]]:
    return fhirpathpy.compile(path, models["r4"])


@cache
def rules() -> tuple[Rule, ...]:
    text = (Path(__file__).parent / "guide_rules.toml").read_text(encoding="utf-8")
    found = []
    for row in tomllib.loads(text)["rule"]:
        path = row["path"]
        for name, address in ADDRESSES.items():
            path = path.replace(f"<{name}>", address)
        assert "<" not in path.replace("<=", ""), row["id"]
        is_error = row.get("severity", "error") == "error"
        found.append(Rule(row["id"], frozenset(row["profiles"]), is_error, path))
    both = frozenset({"course-summary", "planned-course"})
    found += [Rule(name, both, True, technique_path(*row)) for name, row in OF_MODALITY.items()]
    return tuple(found)


def technique_path(modality: str, techniques: str) -> str:
    """Return the guide's text for one modality, said of every such extension."""
    how, what = (f"extension.where(url = '{u}')" for u in (codes.TECHNIQUE, codes.MODALITY))
    known = " or ".join(f"coding.code = '{code}'" for code in ("UNC", *techniques.split()))
    of = f"coding.system = 'http://snomed.info/sct' and coding.code = '{modality}'"
    return (
        f"extension.where(url = '{codes.MODALITY_AND_TECHNIQUE}').all("
        f"{what}.exists() and {how}.exists() and {what}.value.exists({of}) "
        f"implies {how}.value.exists({known}))"
    )


def profile_of(resource: dict[str, Any]) -> str:
    """Return the last words of the first profile that a resource claims."""
    name = str(resource["meta"]["profile"][0]).rsplit("/", 1)[-1]
    return name.removeprefix("codexrt-radiotherapy-").removeprefix("mcode-")


def course(**fields: Any) -> CourseRecord:
    return CourseRecord(key="c", order=1, text="", title="Course", **fields)


VOLUMES = (
    PhaseVolume(structure="PTV", prescribed_gy=45.0, planned_gy=45.1, delivered_gy=UNKNOWN),
    PhaseVolume(structure="GTV", prescribed_gy=NOT_APPLICABLE),
)
PHASES = (
    CoursePhase(name="one", n_fractions_planned=25, n_fractions_delivered=20, volumes=VOLUMES),
    CoursePhase(name="two"),
    CoursePhase(name="three", n_fractions_planned=UNKNOWN, volumes=VOLUMES[:1]),
)
COURSES = (
    course(),
    course(phases=PHASES, n_fractions_planned=25, n_fractions_delivered=20, stop_reason="tired"),
    course(technique="IMRT", modality="photons", intent="curative", is_reirradiation=True),
    course(technique="stereotactic", modality="photons", intent="to help"),
    course(technique="IMRT", modality="electrons", n_fractions_delivered=0),
    course(technique="IMRT", modality="protons", is_reirradiation=UNKNOWN),
    course(technique="scanned", modality="carbon"),
    course(technique="VMAT", modality="neutrons"),
    course(technique="VMAT", modality=UNKNOWN),
    course(technique="arcs", modality=NOT_ASKED),
    course(technique=UNKNOWN, modality="photons"),
    course(technique=NOT_APPLICABLE, modality=NOT_ASKED),
    course(technique=NOT_ASKED, modality=UNKNOWN),
)
PATIENT = PatientRecord(patient_id="P-1", text="Who she is.")


@cache
def published() -> ClinicalHistory:
    return read_history_file(EXAMPLE)


def resources(history: ClinicalHistory, *alpha_betas_gy: float) -> Iterator[dict[str, Any]]:
    bundle = json.loads(json.dumps(fhir_bundle(history, alpha_betas_gy=alpha_betas_gy)))
    yield from (entry["resource"] for entry in bundle["entry"])


def broken(resource: dict[str, Any]) -> set[tuple[str, bool]]:
    profile = profile_of(resource)
    mine = [rule for rule in rules() if profile in rule.profiles]
    assert mine or profile == "cancer-patient", profile
    return {(rule.name, rule.is_error) for rule in mine if not rule.holds(resource)}


def test_the_published_case_breaks_no_rule_of_the_guide() -> None:
    seen = set()
    for resource in resources(published(), 2.5):
        # two diseases are on record before the second course: rerad does not choose
        warned = {("mcode-reason-required", False)} if "reasonCode" not in resource else set()
        assert broken(resource) <= warned, resource["id"]
        seen.add(profile_of(resource))
    assert seen == {
        "cancer-patient",
        "course-summary",
        "treated-phase",
        "planned-course",
        "planned-phase",
        "phase-prescription",
        "volume",
    }


@pytest.mark.parametrize("record", COURSES)
def test_no_course_breaks_a_rule_whatever_is_absent(record: CourseRecord) -> None:
    history = ClinicalHistory(PATIENT, (record,))
    found = {item for resource in resources(history, 3.0) for item in broken(resource)}
    # a course is not tied to a disease in the record, so its reason is given only if there is one
    assert found == {("mcode-reason-required", False)}
    assert courses_of_bundle(fhir_bundle(history)).courses == (record,)


def test_the_reason_is_given_where_one_disease_was_on_record_before() -> None:
    disease = Diagnosis(key="d", order=1, text="", title="Cancer of the cervix")
    one = ClinicalHistory(PATIENT, (disease, COURSES[1]))
    procedures = [r for r in resources(one) if r["resourceType"] == "Procedure"]
    assert {r["reasonCode"][0]["text"] for r in procedures} == {"Cancer of the cervix"}
    two = ClinicalHistory(PATIENT, (disease, replace(disease, key="e"), COURSES[1]))
    assert not [r for r in resources(two) if "reasonCode" in r]
    later = ClinicalHistory(PATIENT, (replace(disease, order=2), COURSES[1]))
    assert not [r for r in resources(later) if "reasonCode" in r]
    first, second = (r for r in resources(published()) if profile_of(r) == "course-summary")
    assert len(first["reasonCode"]) == 1
    assert "reasonCode" not in second


def test_alpha_beta_of_ten_or_more_draws_the_warning_of_the_guide() -> None:
    found = {item for resource in resources(published(), 10.0) for item in broken(resource)}
    assert found == {("metric-unit", False), ("mcode-reason-required", False)}


def test_references_lead_to_resources_of_the_bundle() -> None:
    bundle = fhir_bundle(published())
    urls = {entry["fullUrl"] for entry in bundle["entry"]}
    assert len(urls) == len(bundle["entry"])
    text = json.dumps(bundle)
    named = {part.split('"')[0] for part in text.split('"reference": "')[1:]}
    assert named <= urls
    assert len(named) > 10


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"n_fractions_planned": 22, "n_fractions_delivered": 15}, "in-progress"),
        (
            {"n_fractions_planned": 22, "n_fractions_delivered": 15, "stop_reason": UNKNOWN},
            "stopped",
        ),
        ({"n_fractions_planned": 22, "n_fractions_delivered": 15, "end": UNKNOWN}, "stopped"),
        ({"n_fractions_planned": 22, "n_fractions_delivered": 22}, "completed"),
        ({"n_fractions_planned": 22, "n_fractions_delivered": 0}, "not-done"),
        ({"n_fractions_planned": 22, "n_fractions_delivered": UNKNOWN}, "completed"),
    ],
)
def test_a_course_that_may_still_run_is_not_said_to_be_stopped(
    fields: dict[str, Any], status: str
) -> None:
    counts = {name: value for name, value in fields.items() if name.startswith("n_")}
    phase = CoursePhase(name="one", **counts)
    found = resources(ClinicalHistory(PATIENT, (course(phases=(phase,), **fields),)))
    assert {r["status"] for r in found if r["resourceType"] == "Procedure"} == {status}


EXTRA: dict[str, Any] = {
    "doNotPerform": True,
    "performedDateTime": "2020-01-01",
    "statusReason": {"coding": [{"system": codes.SNOMED, "code": "105480006"}]},
}


def spoiled(resource: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return copies of a resource, each spoiled in one place, in every way that comes to mind."""
    for name, value in EXTRA.items():
        yield resource | {name: value}
    yield resource | {"statusReason": EXTRA["statusReason"], "status": "completed"}
    undated = {name: value for name, value in resource.items() if name != "performedPeriod"}
    yield undated | {"status": "completed"}
    yield {n: v for n, v in resource.items() if n not in {"description", "identifier"}}
    unlisted = {"coding": [{"system": codes.SNOMED, "code": "1"}]}
    yield resource | {"statusReason": unlisted, "status": "stopped"}
    motion = f"{codes.CODEX}codexrt-radiotherapy-respiratory-motion-management"
    requested = "http://hl7.org/fhir/us/codex-radiation-therapy/CodeSystem/snomed-requested-cs"
    none = {"coding": [{"system": requested, "code": "721031000124102"}]}
    twice = [{"url": motion, "valueCodeableConcept": none}] * 2
    free = {"url": f"{codes.CODEX}codexrt-radiotherapy-free-breathing-motion-mgmt-technique"}
    for more in (twice, [free | {"valueCodeableConcept": none}]):
        yield resource | {"extension": [*resource.get("extension", []), *more]}
    for path in list(places(resource)):
        copied = copy.deepcopy(resource)
        *way, last = path
        holder = copied
        for step in way:
            holder = holder[step]
        value = holder[last]
        if isinstance(value, str):
            holder[last] = "WRONG"
            yield copy.deepcopy(copied)
        elif isinstance(value, list):
            holder[last] = [*value, *value]
            yield copy.deepcopy(copied)
            holder[last] = [*value, *({"url": n, "valueString": "x"} for n in NAMES)]
            yield copy.deepcopy(copied)
        del holder[last]
        yield copied


NAMES = ("fractions", "fractionDose", "fractionsDelivered")
"""Parts of doses that some profiles have no place for."""


def places(item: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the ways to every part of a resource."""
    pairs = item.items() if isinstance(item, dict) else enumerate(item)
    for key, value in pairs:
        yield (*way, key)
        if isinstance(value, dict | list):
            yield from places(value, (*way, key))


def with_modality(resource: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a resource with the modality of a rule, and a technique that the rule forbids."""
    modality, allowed = OF_MODALITY[name]
    copied = copy.deepcopy(resource)
    for item in copied["extension"]:
        if item["url"] == codes.MODALITY_AND_TECHNIQUE:
            for part in item["extension"]:
                coding = part["valueCodeableConcept"]["coding"][0]
                forbidden = "1156529004" if "441799006" in allowed else "441799006"
                coding["code"] = modality if part["url"] == codes.MODALITY else forbidden
    return copied


def test_every_rule_is_broken_by_some_spoiled_resource() -> None:
    """So that no rule holds because it says nothing."""
    by_profile: dict[str, dict[str, Any]] = {}
    other = replace(COURSES[1], technique="arcs", modality="x", key="e")
    for history in (ClinicalHistory(PATIENT, (other,)), published()):
        for resource in resources(history, 2.5):
            by_profile[profile_of(resource)] = resource
    uncoded = next(
        r for r in resources(ClinicalHistory(PATIENT, (other,))) if "course-s" in profile_of(r)
    )
    wrongs = {profile: list(spoiled(resource)) for profile, resource in by_profile.items()}
    for rule in rules():
        if rule.name.endswith("TextRequiredForOther"):
            assert any(not rule.holds(wrong) for wrong in spoiled(uncoded)), rule.name
            continue
        if rule.name in OF_MODALITY:
            # IMRT, which the course has, with a modality that does not go with it
            for profile in rule.profiles:
                assert not rule.holds(with_modality(by_profile[profile], rule.name)), rule.name
            continue
        for profile in sorted(rule.profiles):
            assert rule.holds(by_profile[profile]) or rule.name == "mcode-reason-required"
            assert any(not rule.holds(wrong) for wrong in wrongs[profile]), (rule.name, profile)
