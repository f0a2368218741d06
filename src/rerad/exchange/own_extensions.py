"""Fields of a record that the guide has no place for, in extensions of our own, both ways."""

from datetime import date
from typing import Any

from rerad.core import RecordGrade
from rerad.core.clinical_history import (
    NOT_ASKED,
    Absent,
    ClinicalRecord,
    CourseRecord,
    DicomReference,
    PatientRecord,
    PointDose,
)
from rerad.exchange.codes import OWN, UCUM
from rerad.exchange.elements import (
    Json,
    day,
    extension,
    extension_value,
    extensions_of,
    nested,
    value_of,
)

COURSE_TEXTS = ("stop_reason",)
"""Text fields of a course without a place of their own."""

PLACED_TEXTS = ("site", "institution")
"""Text fields that have a place only while they are known."""


def _own(name: str, kind: str, value: Any) -> list[Json]:
    """Return one extension of our own."""
    return extension(f"{OWN}{name.replace('_', '-')}", kind, value)


def record_extensions(record: ClinicalRecord) -> list[Json]:
    """Return what every record has: place in the story, when, source."""
    when = record.date if isinstance(record.date, Absent) else day(record.date)
    found = [
        *_own("order", "UnsignedInt", record.order),
        *_own("when", "String", record.when),
        *_own("date", "Date", when),
        *_own("source", "String", record.source),
    ]
    if isinstance(record, PatientRecord):
        found += _own("text", "String", record.text or NOT_ASKED)
        found += _own("sex", "String", record.sex)
        found += _own("age-years", "UnsignedInt", record.age_years)
        found += [item for text in record.unknowns for item in _own("unknown", "String", text)]
    return found


def course_extensions(course: CourseRecord) -> list[Json]:
    """Return the fields of a course that the guide has no place for."""
    found = record_extensions(course)
    found += _own("fractions-delivered", "UnsignedInt", course.n_fractions_delivered)
    found += _own("delivered-dose", "Quantity", _quantity(course.delivered_dose_gy, "Gy"))
    months = _quantity(course.months_since_previous, "mo")
    found += _own("months-since-previous", "Quantity", months)
    found += _own("grade", "String", course.grade.value)
    for name in COURSE_TEXTS:
        found += _own(name, "String", getattr(course, name))
    for name in PLACED_TEXTS:
        value = getattr(course, name)
        if isinstance(value, Absent):
            found += _own(name, "String", value)
    for share in course.partial_fractions:
        found += _own("partial-fraction", "Decimal", share)
    for point in course.point_doses:
        found.append(
            nested(
                f"{OWN}point-dose",
                _own("structure", "String", point.structure),
                _own("max-dose", "Quantity", _quantity(point.max_gy, "Gy")),
                _own("source", "String", point.source),
            )
        )
    for item in course.references:
        found.append(
            nested(
                f"{OWN}dicom-reference",
                _own("kind", "String", item.kind),
                _own("uid", "String", item.uid),
                _own("sha256", "String", item.sha256),
            )
        )
    return found


def _quantity(value: float | Absent, code: str) -> Any:
    """Return a number with its unit."""
    if isinstance(value, Absent):
        return value
    return {"value": float(value), "unit": code, "system": UCUM, "code": code}


def _read(item: Json, name: str) -> Any:
    """Return the value of one extension of our own."""
    value = value_of(item, f"{OWN}{name.replace('_', '-')}")
    if isinstance(value, dict) and "value" in value:
        return float(value["value"])
    return value


def record_fields(resource: Json) -> dict[str, Any]:
    """Return the fields that every record has."""
    when = _read(resource, "date")
    order = _read(resource, "order")
    return {
        "order": 0 if isinstance(order, Absent) else order,
        "when": _read(resource, "when"),
        "date": when if isinstance(when, Absent) else date.fromisoformat(when),
        "source": _read(resource, "source"),
    }


def patient_fields(resource: Json) -> dict[str, Any]:
    """Return the fields of a patient that FHIR has no place for."""
    text = _read(resource, "text")
    unknowns = (extension_value(e) for e in extensions_of(resource, f"{OWN}unknown"))
    return record_fields(resource) | {
        "text": "" if isinstance(text, Absent) else text,
        "sex": _read(resource, "sex"),
        "age_years": _read(resource, "age_years"),
        "unknowns": tuple(unknowns),
    }


def course_fields(resource: Json) -> dict[str, Any]:
    """Return the fields of a course that the guide has no place for."""
    found = record_fields(resource)
    found["n_fractions_delivered"] = _read(resource, "fractions-delivered")
    found["delivered_dose_gy"] = _read(resource, "delivered-dose")
    found["months_since_previous"] = _read(resource, "months-since-previous")
    grade = _read(resource, "grade")
    found["grade"] = RecordGrade.UNKNOWN if isinstance(grade, Absent) else RecordGrade(grade)
    for name in (*COURSE_TEXTS, *PLACED_TEXTS):
        found[name] = _read(resource, name)
    shares = extensions_of(resource, f"{OWN}partial-fraction")
    found["partial_fractions"] = tuple(float(extension_value(share)) for share in shares)
    found["point_doses"] = tuple(
        PointDose(
            structure=_read(item, "structure"),
            max_gy=_read(item, "max-dose"),
            source=_read(item, "source"),
        )
        for item in extensions_of(resource, f"{OWN}point-dose")
    )
    found["references"] = tuple(
        DicomReference(
            kind=_read(item, "kind"), uid=_read(item, "uid"), sha256=_read(item, "sha256")
        )
        for item in extensions_of(resource, f"{OWN}dicom-reference")
    )
    return found
