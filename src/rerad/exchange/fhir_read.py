"""Courses from FHIR resources after the CodeX radiation therapy guide.

What rerad wrote comes back as it was. What others wrote is read as far as the guide defines it:
course summaries with their doses, treated phases, and the requests that these are based on. Doses
must be in cGy; anything else is refused.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from rerad.core.clinical_history import (
    NOT_ASKED,
    Absent,
    CoursePhase,
    CourseRecord,
    PatientRecord,
    PhaseVolume,
)
from rerad.errors import InputError
from rerad.exchange import codes
from rerad.exchange.constraints import COUNT_PARTS, METRIC_UNIT, Problem, check_bundle
from rerad.exchange.elements import (
    Json,
    absence_of,
    extension_value,
    extensions_of,
    gray_of,
    value_of,
)
from rerad.exchange.own_extensions import course_fields, patient_fields
from rerad.exchange.shape import guard_reader, require_shape

WHOLE_COURSE = "whole course"
"""Name of the phase of a course that comes without phases."""


@dataclass(frozen=True, slots=True)
class RadiobiologicMetric:
    """A radiobiologic metric of a delivered dose.

    Parameters
    ----------
    course, structure : str
        Key of the course, and the volume.
    value_gy : float
        In Gy of the metric.
    unit : str
        As written: ``EQD2Gy(a/b=3)``.
    alpha_beta_gy : float or None
        From the unit; None if it names none.
    """

    course: str
    structure: str
    value_gy: float
    unit: str
    alpha_beta_gy: float | None


@dataclass(frozen=True, slots=True)
class ImportedCourses:
    """What a bundle holds.

    Parameters
    ----------
    patient : PatientRecord
        Who.
    courses : tuple of CourseRecord
        In order of the story, or of their start.
    metrics : tuple of RadiobiologicMetric
        As stated by the sender; rerad computes its own.
    warnings : tuple of Problem
        What breaks a recommendation of the guide.
    """

    patient: PatientRecord
    courses: tuple[CourseRecord, ...]
    metrics: tuple[RadiobiologicMetric, ...]
    warnings: tuple[Problem, ...]


@guard_reader
def courses_of_bundle(bundle: Mapping[str, Any]) -> ImportedCourses:
    """Read a FHIR R4 bundle.

    Parameters
    ----------
    bundle : mapping
        Parsed JSON.

    Returns
    -------
    ImportedCourses

    Raises
    ------
    InputError
        If it is not built as FHIR, breaks a rule of the guide, or does not hold one patient.
    """
    require_shape(bundle)
    problems = check_bundle(bundle)
    errors = [problem for problem in problems if problem.is_error]
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        msg = f"{errors[0].where}: {errors[0].text}{more}"
        raise InputError(msg)
    resources = _Resources(bundle)
    patients = resources.of_type("Patient")
    if len(patients) != 1:
        msg = f"expected a bundle with one Patient, got {len(patients)}; split it"
        raise InputError(msg)
    courses: list[CourseRecord] = []
    metrics: list[RadiobiologicMetric] = []
    for summary in resources.of_type("Procedure"):
        if _code(summary) == codes.COURSE_CODE[0]:
            course = _course(summary, resources)
            courses.append(course)
            metrics.extend(_metrics(summary, course.key))
    return ImportedCourses(
        patient=_patient(patients[0]),
        courses=_in_order(courses),
        metrics=tuple(metrics),
        warnings=tuple(problem for problem in problems if not problem.is_error),
    )


class _Resources:
    """The resources of a bundle, found by reference."""

    def __init__(self, bundle: Mapping[str, Any]) -> None:
        self.all: list[Json] = [entry["resource"] for entry in bundle.get("entry", [])]
        self._by_name = {f"{r['resourceType']}/{r.get('id', '')}": r for r in self.all}
        for entry in bundle.get("entry", []):
            if entry.get("fullUrl"):
                self._by_name[entry["fullUrl"]] = entry["resource"]

    def of_type(self, kind: str) -> list[Json]:
        """Return the resources of one type."""
        return [resource for resource in self.all if resource["resourceType"] == kind]

    def find(self, item: Mapping[str, Any]) -> Json | None:
        """Return what a reference names."""
        return self._by_name.get(item.get("reference", ""))

    def referring(self, summary: Json) -> list[Json]:
        """Return the treated phases of a course."""
        return [
            resource
            for resource in self.of_type("Procedure")
            if any(self.find(part) is summary for part in resource.get("partOf", []))
        ]


def _code(resource: Json) -> str:
    """Return the first code of what a resource is."""
    coding = resource.get("code", {}).get("coding") or [{}]
    return str(coding[0].get("code", ""))


def _text(concept: Mapping[str, Any]) -> str:
    """Return the text of a concept, or what its code displays."""
    coding = concept.get("coding") or [{}]
    return str(concept.get("text") or coding[0].get("display", ""))


def _patient(resource: Json) -> PatientRecord:
    """Return who it is."""
    numbers = [item["value"] for item in resource.get("identifier", []) if "value" in item]
    fields = patient_fields(resource)
    if fields["sex"] is NOT_ASKED:
        letters = {"female": "F", "male": "M", "other": "O", "unknown": Absent.UNKNOWN}
        is_own = value_of(resource, f"{codes.OWN}order") is not NOT_ASKED
        fields["sex"] = (
            NOT_ASKED if is_own else letters.get(str(resource.get("gender")), NOT_ASKED)
        )
    birth = resource.get("birthDate")
    return PatientRecord(
        patient_id=numbers[0] if numbers else str(resource.get("id", "")),
        name=_name(resource),
        birth_date=_day(birth) if birth else absence_of(resource.get("_birthDate", {})),
        **fields,
    )


def _name(resource: Json) -> str | Absent:
    """Return a person name as DICOM writes it."""
    for name in resource.get("name", []):
        if "text" in name and "^" in name["text"]:
            return str(name["text"])
        if "family" in name or "text" in name:
            given = " ".join(name.get("given", []))
            family = str(name.get("family") or name["text"])
            return f"{family}^{given}" if given else family
        return absence_of(name)
    return NOT_ASKED


def _course(summary: Json, resources: _Resources) -> CourseRecord:
    """Return one course."""
    usual = next(i["value"] for i in summary["identifier"] if i.get("use") == "usual")
    fields = course_fields(summary)
    planned = _based_on(summary, resources, codes.PLANNED_COURSE_PROFILE)
    phases = _phases(summary, planned, resources)
    fractions = value_of(planned, f"{codes.OWN}fractions-planned") if planned else NOT_ASKED
    if not _is_own(summary):
        fields["n_fractions_delivered"] = _most(summary, codes.DOSE_DELIVERED)
        fractions = _most(planned, codes.DOSE_PLANNED)
        fields["stop_reason"] = (
            _text(summary["statusReason"]) or NOT_ASKED
            if ("statusReason" in summary)
            else NOT_ASKED
        )
    if isinstance(fields["site"], Absent) and summary.get("bodySite"):
        fields["site"] = _text(summary["bodySite"][0])
    if summary.get("location", {}).get("display"):
        fields["institution"] = summary["location"]["display"]
    modality, technique = _modality_and_technique(summary)
    start, end = _period(summary)
    notes = [note["text"] for note in summary.get("note", []) if "text" in note]
    intent = value_of(summary, codes.INTENT)
    return CourseRecord(
        key=_key(usual),
        text="\n".join(notes),
        title=summary["code"].get("text") or usual,
        technique=technique,
        modality=modality,
        intent=intent if isinstance(intent, Absent) else _text(intent),
        is_reirradiation=value_of(summary, codes.REIRRADIATION),
        n_fractions_planned=fractions,
        start=start,
        end=end,
        phases=phases,
        **fields,
    )


def _is_own(resource: Json) -> bool:
    """Return whether rerad wrote a resource."""
    return any(e.get("url", "").startswith(codes.OWN) for e in resource.get("extension", []))


def _key(name: str) -> str:
    """Return a key made of an identifier of others; our own stays."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name)[:64]


def _modality_and_technique(summary: Json) -> tuple[Any, Any]:
    """Return both as text, or why they are not there."""
    own = value_of(summary, f"{codes.OWN}technique")
    for found in extensions_of(summary, codes.MODALITY_AND_TECHNIQUE):
        values = [value_of(found, codes.MODALITY), value_of(found, codes.TECHNIQUE)]
        if values[1] is NOT_ASKED:
            values[1] = own
        modality, technique = (v if isinstance(v, Absent) else _text(v) for v in values)
        return modality, technique
    return NOT_ASKED, own


def _period(resource: Json) -> tuple[Any, Any]:
    """Return start and end of a procedure."""
    period = resource.get("performedPeriod", {})
    ends: list[Any] = []
    for name in ("start", "end"):
        if name in period:
            ends.append(_day(period[name]))
        else:
            ends.append(absence_of(period.get(f"_{name}", {})))
    return ends[0], ends[1]


def _day(text: str) -> date | Absent:
    """Return the day of a FHIR date or moment; a year or month alone is no day: unknown."""
    if re.fullmatch(r"\d{4}(-\d\d)?", text):
        return Absent.UNKNOWN
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        msg = f"expected a date such as 2021-09-20, got {text!r}"
        raise InputError(msg) from error


def _based_on(resource: Json, resources: _Resources, profile: str) -> Json:
    """Return the request of a profile that a resource is based on; empty if there is none."""
    for item in resource.get("basedOn", []):
        found = resources.find(item)
        if found is not None and profile in found.get("meta", {}).get("profile", []):
            return found
    return {}


def _phases(summary: Json, planned: Json, resources: _Resources) -> tuple[CoursePhase, ...]:
    """Return the phases of a course, or one made of its own doses."""
    treated = resources.referring(summary)
    place = f"{codes.OWN}place"
    treated.sort(key=lambda r: v if isinstance(v := value_of(r, place), int) else 0)
    if treated:
        return tuple(_phase(resource, resources) for resource in treated)
    doses = list(extensions_of(summary, codes.DOSE_DELIVERED))
    if not doses:
        return ()
    intended = list(extensions_of(planned, codes.DOSE_PLANNED))
    volumes = tuple(
        PhaseVolume(
            structure=_structure(item),
            planned_gy=_dose(_same(intended, _structure(item), number), "totalDose"),
            delivered_gy=_dose(item, "totalDoseDelivered"),
        )
        for number, item in enumerate(doses)
    )
    return (
        CoursePhase(
            name=WHOLE_COURSE,
            n_fractions_planned=_most(planned, codes.DOSE_PLANNED),
            n_fractions_delivered=_most(summary, codes.DOSE_DELIVERED),
            volumes=volumes,
        ),
    )


def _most(resource: Json, url: str) -> Any:
    """Return the fractions of the volume that was planned or given most."""
    counts = [value_of(item, COUNT_PARTS[url]) for item in extensions_of(resource, url)]
    known = [count for count in counts if isinstance(count, int)]
    return max(known) if known else (counts[0] if counts else NOT_ASKED)


def _phase(treated: Json, resources: _Resources) -> CoursePhase:
    """Return one phase: what was prescribed, planned and delivered to each volume."""
    planned = _based_on(treated, resources, codes.PLANNED_PHASE_PROFILE)
    wanted = _based_on(treated, resources, codes.PRESCRIPTION_PROFILE)
    n_planned = value_of(planned, codes.FRACTIONS_PLANNED)
    if n_planned is NOT_ASKED:
        n_planned = value_of(wanted, codes.FRACTIONS_PRESCRIBED)
    start, end = _period(treated)
    prescribed = list(extensions_of(wanted, codes.DOSE_PRESCRIBED))
    intended = list(extensions_of(planned, codes.DOSE_PLANNED))
    volumes = []
    for number, item in enumerate(extensions_of(treated, codes.DOSE_DELIVERED)):
        name = _structure(item)
        volumes.append(
            PhaseVolume(
                structure=name,
                prescribed_gy=_dose(_same(prescribed, name, number), "totalDose"),
                planned_gy=_dose(_same(intended, name, number), "totalDose"),
                delivered_gy=_dose(item, "totalDoseDelivered"),
            )
        )
    return CoursePhase(
        name=treated["code"].get("text") or treated["identifier"][0]["value"],
        n_fractions_planned=n_planned,
        n_fractions_delivered=value_of(treated, codes.FRACTIONS_DELIVERED),
        start=start,
        end=end,
        volumes=tuple(volumes),
    )


def _same(items: list[Json], structure: str, number: int) -> Json:
    """Return the entry for a volume: the one at the same place, else the first of its name."""
    if number < len(items) and _structure(items[number]) == structure:
        return items[number]
    return next((item for item in items if _structure(item) == structure), {})


def _structure(item: Json) -> str:
    """Return the name of the volume that a dose is for."""
    volume = value_of(item, "volume")
    return "" if isinstance(volume, Absent) else str(volume.get("display", volume["reference"]))


def _dose(item: Json, name: str) -> Any:
    """Return a dose in Gy, or why it is not there."""
    value = value_of(item, name)
    return value if isinstance(value, Absent) else gray_of(value, name)


def _metrics(summary: Json, course: str) -> Iterator[RadiobiologicMetric]:
    """Return the radiobiologic metrics of a course."""
    for item in extensions_of(summary, codes.DOSE_DELIVERED):
        for found in extensions_of(item, codes.METRIC):
            quantity = extension_value(found)
            unit = str(quantity["unit"])
            match = METRIC_UNIT.match(unit)
            number = match.group("alpha_beta") if match else None
            yield RadiobiologicMetric(
                course=course,
                structure=_structure(item),
                value_gy=float(quantity["value"]),
                unit=unit,
                alpha_beta_gy=None if number is None else float(number),
            )


def _in_order(courses: list[CourseRecord]) -> tuple[CourseRecord, ...]:
    """Return courses by their place in the story, else by their start."""
    last = date.max
    return tuple(
        sorted(
            courses,
            key=lambda c: (c.order, last if isinstance(c.start, Absent) else c.start, c.key),
        )
    )
