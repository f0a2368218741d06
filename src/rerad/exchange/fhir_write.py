"""A patient's courses as FHIR resources after the CodeX radiation therapy guide.

Each course is a course summary (what was given) based on a planned course; each of its phases is
a phase prescription, a planned phase and a treated phase; each volume a body structure. Doses are
in cGy, as the guide fixes; radiobiologic metrics are in Gy, as it also says. What a record knows
and the guide has no place for stands in extensions of our own, so that nothing is lost.

A course that was given but whose number of fractions is unknown has status ``completed``, which
in FHIR says that it has ended; the fractions themselves say that they are unknown.
"""

from collections.abc import Iterator
from typing import Any

from rerad.core.clinical_history import (
    NOT_ASKED,
    Absent,
    ClinicalHistory,
    CoursePhase,
    CourseRecord,
    Diagnosis,
    PatientRecord,
    PhaseVolume,
)
from rerad.errors import InputError
from rerad.exchange import codes
from rerad.exchange.elements import (
    Json,
    absent_reason,
    coded_or_text,
    concept,
    day,
    dose,
    extension,
    full_url,
    identifiers,
    nested,
    official_uid,
    reference,
    resource_id,
)
from rerad.exchange.own_extensions import course_extensions, record_extensions
from rerad.radiobiology import eqd2


def fhir_bundle(history: ClinicalHistory, *, alpha_betas_gy: tuple[float, ...] = ()) -> Json:
    """Return a patient's courses as a FHIR R4 collection.

    Parameters
    ----------
    history : ClinicalHistory
        Courses and patient are written; other records have no place in this guide.
    alpha_betas_gy : tuple of float
        For each, the EQD2 of what was delivered is added as radiobiologic metric where dose and
        fractions are known. There is no default.

    Returns
    -------
    dict
        A Bundle of type collection.

    Raises
    ------
    InputError
        If a phase is planned with no fraction.
    """
    patient = _patient(history.patient)
    resources = [patient]
    for course in history.of_kind(CourseRecord):
        reason = _reason(history, course)
        for resource in _course_resources(course, patient, alpha_betas_gy):
            has_reason = resource["resourceType"] in {"Procedure", "ServiceRequest"}
            resources.append(resource | (reason if has_reason else {}))
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"fullUrl": full_url(resource), "resource": resource} for resource in resources],
    }


def _reason(history: ClinicalHistory, course: CourseRecord) -> Json:
    """Return the disease that a course was for, where only one is on record before it."""
    found = [item for item in history.of_kind(Diagnosis) if item.order <= course.order]
    return {"reasonCode": [concept(None, found[0].title)]} if len(found) == 1 else {}


def _patient(record: PatientRecord) -> Json:
    """Return who it is."""
    genders = {"F": "female", "M": "male", "O": "other"}
    found: Json = {
        "resourceType": "Patient",
        "id": resource_id(record.patient_id),
        "meta": {"profile": [codes.PATIENT_PROFILE]},
        "identifier": [{"system": codes.PATIENT_ID, "value": record.patient_id}],
        "gender": genders.get(record.sex if isinstance(record.sex, str) else "", "unknown"),
        "extension": record_extensions(record),
    }
    found["name"] = [_name(record.name)]
    if isinstance(record.birth_date, Absent):
        if record.birth_date is not NOT_ASKED:
            found["_birthDate"] = {"extension": [absent_reason(record.birth_date)]}
    else:
        found["birthDate"] = day(record.birth_date)
    return found


def _name(name: str | Absent) -> Json:
    """Return a person name as text."""
    if isinstance(name, Absent):
        return {"extension": [absent_reason(name)]}
    family, _, given = name.partition("^")
    found: Json = {"text": name, "family": family or name}
    return found | ({"given": [given.replace("^", " ").strip()]} if given.strip("^ ") else {})


def _course_resources(
    course: CourseRecord, patient: Json, alpha_betas_gy: tuple[float, ...]
) -> Iterator[Json]:
    """Return all resources of one course."""
    patient_id = patient["identifier"][0]["value"]
    names = (patient_id, course.key)
    volumes = {
        volume.structure: _volume(names, volume.structure, patient)
        for phase in course.phases
        for volume in phase.volumes
    }
    planned = _planned_course(course, names, volumes, patient)
    summary = _summary(course, names, patient) | {"basedOn": [reference(planned)]}
    summary["extension"].extend(_course_doses(course, volumes, alpha_betas_gy))
    yield from volumes.values()
    yield planned
    yield summary
    for number in range(len(course.phases)):
        yield from _phase_resources(
            course, number, (*names, str(number)), volumes, planned, summary
        )


def _volume(names: tuple[str, ...], structure: str, patient: Json) -> Json:
    """Return a volume as body structure."""
    uid = official_uid(*names, "volume", structure)
    return {
        "resourceType": "BodyStructure",
        "id": resource_id(*names, "volume", structure),
        "meta": {"profile": list(codes.VOLUME_PROFILES)},
        "identifier": identifiers(codes.RECORD_KEY, structure, uid),
        "description": structure,
        "patient": reference(patient),
    }


def _modality_and_technique(course: CourseRecord) -> list[Json]:
    """Return modality and technique, coded where the text says a coded one.

    The guide wants a modality with every technique, and allows with each modality some techniques
    only; the reason why a technique is not there stands in an extension of our own.
    """
    modality, technique = course.modality, course.technique
    known = "" if isinstance(modality, Absent) else modality.strip().lower()
    own = extension(f"{codes.OWN}technique", "String", technique)
    if isinstance(technique, Absent) and modality is NOT_ASKED:
        return own
    coded: Any = modality
    if isinstance(modality, str):
        coded = coded_or_text(codes.MODALITIES.get(known), modality)
    parts = extension(codes.MODALITY, "CodeableConcept", coded, is_required=True)
    if isinstance(technique, Absent):
        return [nested(codes.MODALITY_AND_TECHNIQUE, parts), *own]
    allowed = codes.TECHNIQUES_OF.get(known, frozenset(codes.TECHNIQUES))
    said = next((word for word in codes.TECHNIQUES if word in technique.upper()), "")
    code = codes.TECHNIQUES[said] if said in allowed else None
    words = extension(codes.TECHNIQUE, "CodeableConcept", coded_or_text(code, technique))
    return [nested(codes.MODALITY_AND_TECHNIQUE, parts, words)]


def _period(start: Any, end: Any) -> Json:
    """Return a period, saying of each end, or of both, why it is not there."""
    found: Json = {}
    for name, value in (("start", start), ("end", end)):
        if not isinstance(value, Absent):
            found[name] = day(value)
        elif value is not NOT_ASKED:
            found[f"_{name}"] = {"extension": [absent_reason(value)]}
    return found or {"extension": [absent_reason(NOT_ASKED)]}


def _status(item: CourseRecord | CoursePhase, course: CourseRecord) -> str:
    """Return the status of a course or of one of its phases.

    Fewer fractions than planned are a stopped course only if the record asked for its end or for
    why it was stopped; else it may still be running.
    """
    planned, given = item.n_fractions_planned, item.n_fractions_delivered
    if isinstance(given, int) and given == 0:
        return "not-done"
    is_short = isinstance(planned, int) and isinstance(given, int) and given < planned
    is_over = course.end is not NOT_ASKED or course.stop_reason is not NOT_ASKED
    if is_short:
        return "stopped" if is_over else "in-progress"
    return "completed"


def _summary(course: CourseRecord, names: tuple[str, ...], patient: Json) -> Json:
    """Return the course summary without its doses."""
    found: Json = {
        "resourceType": "Procedure",
        "id": resource_id(*names, "course"),
        "meta": {"profile": list(codes.COURSE_PROFILES)},
        "extension": [
            *_intent(course),
            *_modality_and_technique(course),
            *extension(codes.REIRRADIATION, "Boolean", course.is_reirradiation),
            *course_extensions(course),
        ],
        "identifier": identifiers(codes.RECORD_KEY, course.key, official_uid(*names, "course")),
        "status": _status(course, course),
        "category": concept(codes.RADIOTHERAPY),
        "code": concept(codes.COURSE_CODE, course.title),
        "subject": reference(patient),
        "performedPeriod": _period(course.start, course.end),
    }
    if found["status"] == "stopped" and isinstance(course.stop_reason, str):
        found["statusReason"] = concept(None, course.stop_reason)
    if isinstance(course.site, str):
        found["bodySite"] = [concept(None, course.site)]
    if isinstance(course.institution, str):
        found["location"] = {"display": course.institution}
    if course.text:
        found["note"] = [{"text": course.text}]
    return found


def _intent(course: CourseRecord) -> list[Json]:
    """Return the intent, coded where it is one of the codes."""
    value: Any = course.intent
    if isinstance(value, str):
        value = concept(codes.INTENTS.get(value.strip().lower()), value)
    return extension(codes.INTENT, "CodeableConcept", value)


def _course_doses(
    course: CourseRecord, volumes: dict[str, Json], alpha_betas_gy: tuple[float, ...]
) -> Iterator[Json]:
    """Return what each volume was given over all phases; unknown where a phase is unknown."""
    for structure, resource in volumes.items():
        parts = _parts(course, structure)
        count = _sum([phase.n_fractions_delivered for phase, _ in parts])
        yield nested(
            codes.DOSE_DELIVERED,
            extension("volume", "Reference", reference(resource, structure)),
            dose("totalDoseDelivered", _sum([v.delivered_gy for _, v in parts])),
            extension("fractionsDelivered", "UnsignedInt", count),
            extension(codes.UNIFORM, "Boolean", _is_uniform(parts)),
            *(_metric(parts, alpha_beta) for alpha_beta in alpha_betas_gy),
        )


def _parts(course: CourseRecord, structure: str) -> list[tuple[CoursePhase, PhaseVolume]]:
    """Return the phases that treat a volume, each with what it gives it."""
    return [
        (phase, volume)
        for phase in course.phases
        for volume in phase.volumes
        if volume.structure == structure
    ]


def _sum(values: list[Any]) -> Any:
    """Return a sum, or the first reason why one of its parts is not there."""
    return next((v for v in values if isinstance(v, Absent)), None) or sum(values)


def _is_uniform(parts: list[tuple[CoursePhase, PhaseVolume]]) -> bool | Absent:
    """Return whether every fraction gave this volume the same; it must be said."""
    per_fraction = {_per_fraction(phase, volume) for phase, volume in parts}
    if len(parts) == 1:
        return True
    return Absent.UNKNOWN if None in per_fraction else len(per_fraction) == 1


def _per_fraction(phase: CoursePhase, volume: PhaseVolume) -> float | None:
    """Return the delivered dose of one fraction in Gy, None where it is unknown."""
    n, total = phase.n_fractions_delivered, volume.delivered_gy
    if isinstance(n, Absent) or isinstance(total, Absent) or n == 0:
        return None
    return round(total / n, 6)


def _metric(parts: list[tuple[CoursePhase, PhaseVolume]], alpha_beta_gy: float) -> list[Json]:
    """Return the EQD2 of what was delivered, in Gy; nothing where a phase is unknown."""
    total = 0.0
    for phase, volume in parts:
        n, delivered = phase.n_fractions_delivered, volume.delivered_gy
        if isinstance(n, Absent) or isinstance(delivered, Absent) or n == 0:
            return []
        total += float(eqd2(delivered, n, alpha_beta_gy))
    quantity = {"value": round(total, 4), "unit": f"EQD2Gy(a/b={alpha_beta_gy:g})"}
    return extension(codes.METRIC, "Quantity", quantity)


def _request(kind: str, profile: str, names: tuple[str, ...], patient: Json, display: str) -> Json:
    """Return what all requests share."""
    is_order = profile == codes.PRESCRIPTION_PROFILE
    return {
        "resourceType": "ServiceRequest",
        "id": resource_id(*names, kind),
        "meta": {"profile": [profile]},
        "identifier": identifiers(codes.RECORD_KEY, display, official_uid(*names, kind)),
        "status": "completed",
        "intent": codes.PRESCRIPTION_INTENT if is_order else codes.PLAN_INTENT,
        "category": [concept(codes.RADIOTHERAPY)],
        "subject": patient,
        "extension": [],
    }


def _planned_course(
    course: CourseRecord, names: tuple[str, ...], volumes: dict[str, Json], patient: Json
) -> Json:
    """Return the course as planned, with the dose of each volume over all phases."""
    profile = codes.PLANNED_COURSE_PROFILE
    found = _request("planned-course", profile, names, reference(patient), course.key)
    found["code"] = concept(codes.COURSE_CODE, course.title)
    found["extension"] = [
        *_intent(course),
        *_modality_and_technique(course),
        *extension(codes.REIRRADIATION, "Boolean", course.is_reirradiation),
        *extension(f"{codes.OWN}fractions-planned", "UnsignedInt", course.n_fractions_planned),
    ]
    for structure, resource in volumes.items():
        parts = _parts(course, structure)
        found["extension"].append(
            nested(
                codes.DOSE_PLANNED,
                extension("volume", "Reference", reference(resource, structure)),
                dose("totalDose", _sum([volume.planned_gy for _, volume in parts])),
                extension(
                    "fractions",
                    "PositiveInt",
                    _sum([phase.n_fractions_planned for phase, _ in parts]),
                ),
            )
        )
    return found


def _phase_resources(
    course: CourseRecord,
    number: int,
    names: tuple[str, ...],
    volumes: dict[str, Json],
    planned_course: Json,
    summary: Json,
) -> Iterator[Json]:
    """Return prescription, plan and treatment of one phase."""
    phase = course.phases[number]
    if phase.n_fractions_planned == 0:
        msg = f"phase {phase.name!r}: a phase planned with 0 fractions has no place in FHIR"
        raise InputError(msg)
    subject = summary["subject"]
    wanted, planned = (
        _request(kind, profile, names, subject, phase.name)
        for kind, profile in (
            ("phase-prescription", codes.PRESCRIPTION_PROFILE),
            ("planned-phase", codes.PLANNED_PHASE_PROFILE),
        )
    )
    for request in (wanted, planned):
        request["code"] = concept(codes.PHASE_CODE, phase.name)
        request["basedOn"] = [reference(planned_course)]
    count = phase.n_fractions_planned
    for request, url in (
        (wanted, codes.FRACTIONS_PRESCRIBED),
        (planned, codes.FRACTIONS_PLANNED),
    ):
        request["extension"] = extension(url, "PositiveInt", count, is_required=True)
    treated: Json = {
        "resourceType": "Procedure",
        "id": resource_id(*names, "treated-phase"),
        "meta": {"profile": [codes.PHASE_PROFILE]},
        "identifier": identifiers(
            codes.RECORD_KEY, phase.name, official_uid(*names, "treated-phase")
        ),
        "basedOn": [reference(planned), reference(wanted)],
        "partOf": [reference(summary)],
        "status": _status(phase, course),
        "category": concept(codes.RADIOTHERAPY),
        "code": concept(codes.PHASE_CODE, phase.name),
        "subject": subject,
        "extension": [
            *extension(f"{codes.OWN}place", "UnsignedInt", number),
            *extension(codes.FRACTIONS_DELIVERED, "UnsignedInt", phase.n_fractions_delivered),
        ],
    }
    treated["performedPeriod"] = _period(phase.start, phase.end)
    for volume in phase.volumes:
        where = extension(
            "volume", "Reference", reference(volumes[volume.structure], volume.structure)
        )
        for request, url, name, value in (
            (wanted, codes.DOSE_PRESCRIBED, "totalDose", volume.prescribed_gy),
            (planned, codes.DOSE_PLANNED, "totalDose", volume.planned_gy),
            (treated, codes.DOSE_DELIVERED, "totalDoseDelivered", volume.delivered_gy),
        ):
            request["extension"].append(nested(url, where, dose(name, value)))
    yield from (wanted, planned, treated)
