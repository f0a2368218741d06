"""Rules of the CodeX radiation therapy guide that a bundle is held to, without a FHIR library.

A rule has a code, says whether breaking it is an error or a warning of the guide, and yields a
sentence for each place that breaks it. The list is ours, made from the guide's profiles; it is no
complete validator.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rerad.exchange import codes
from rerad.exchange.codes import ABSENT_REASON
from rerad.exchange.elements import Json, extensions_of

METRIC_UNIT = re.compile(
    r"^(?:BED|CGE|RBE(?:\(factor\s*=\s*\d*(?:\.\d+)?\))?"
    r"|EQD2Gy(?:\(a\/b\s*=\s*(?P<alpha_beta>\d+(?:\.\d+)?|\.\d+)\))?)$"
)
"""Units of radiobiologic metrics that are read; two digits before the point are allowed."""

GUIDE_METRIC_UNIT = re.compile(
    r"^(BED|CGE|RBE|RBE\(factor\s*=\s*(\d?(\.\d+)?)\)|EQD2Gy|EQD2Gy\(a\/b\s*=\s*(\d?(\.\d+)?)\))$"
)
"""The guide's own pattern (a warning there): it has no room for alpha/beta of 10 or more."""

STOP_REASONS = frozenset({
    "182992009", "266721009", "407563006", "160932005", "105480006", "184081006",
    "309846006", "399307001", "419620001", "7058009", "443729008", "77386006",
})  # fmt: skip
"""SNOMED CT codes of mCODE's treatment termination reasons."""

REQUEST_INTENTS = frozenset({"proposal", "plan", "order", "original-order", "filler-order"})
"""Intents of FHIR requests that a plan or prescription may have."""

DOSE_PARTS = {
    codes.DOSE_DELIVERED: ("totalDoseDelivered",),
    codes.DOSE_PLANNED: ("fractionDose", "totalDose"),
    codes.DOSE_PRESCRIBED: ("fractionDose", "totalDose"),
}
"""Parts of the dose extensions that are fixed to cGy."""

COUNT_PARTS = {
    codes.DOSE_DELIVERED: "fractionsDelivered",
    codes.DOSE_PLANNED: "fractions",
    codes.DOSE_PRESCRIBED: "fractions",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """A rule that is broken.

    Parameters
    ----------
    code : str
        Of the rule; the guide's own where it has one.
    is_error : bool
        Error or warning.
    where : str
        Type and ID of the resource.
    text : str
        What was expected and what came.
    """

    code: str
    is_error: bool
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Constraint:
    """A rule for resources of one type.

    Parameters
    ----------
    code : str
        Of the rule.
    is_error : bool
        Error or warning.
    applies : callable
        Whether a resource is meant.
    broken : callable
        Sentences for every place that breaks it.
    """

    code: str
    is_error: bool
    applies: Callable[[Json], bool]
    broken: Callable[[Json], Iterator[str]]


def check_bundle(bundle: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Hold a bundle to the rules.

    Parameters
    ----------
    bundle : mapping
        Parsed JSON.

    Returns
    -------
    tuple of Problem
        Empty if nothing is wrong.
    """
    if bundle.get("resourceType") != "Bundle":
        text = f"expected a Bundle, got {bundle.get('resourceType')!r}"
        return (Problem("bundle", True, "bundle", text),)
    found: list[Problem] = []
    for entry in bundle.get("entry", []):
        resource = entry.get("resource", {})
        where = f"{resource.get('resourceType', '?')}/{resource.get('id', '?')}"
        for rule in CONSTRAINTS:
            if rule.applies(resource):
                found.extend(
                    Problem(rule.code, rule.is_error, where, text)
                    for text in rule.broken(resource)
                )
    return tuple(found)


def _is_course(resource: Json) -> bool:
    return _is_procedure(resource) and _code_of(resource.get("code", {})) == codes.COURSE_CODE[0]


def _is_phase(resource: Json) -> bool:
    return _is_procedure(resource) and _code_of(resource.get("code", {})) == codes.PHASE_CODE[0]


def _is_procedure(resource: Json) -> bool:
    return resource.get("resourceType") == "Procedure"


def _is_request(resource: Json) -> bool:
    return resource.get("resourceType") == "ServiceRequest"


def _is_volume(resource: Json) -> bool:
    return resource.get("resourceType") == "BodyStructure"


def _is_patient(resource: Json) -> bool:
    return resource.get("resourceType") == "Patient"


def _is_radiotherapy(resource: Json) -> bool:
    return _is_course(resource) or _is_phase(resource) or _is_request(resource)


def _code_of(concept: Mapping[str, Any]) -> str:
    coding = concept.get("coding") or [{}]
    return str(coding[0].get("code", ""))


def _status(resource: Json) -> Iterator[str]:
    status = resource.get("status")
    if status not in codes.STATUSES:
        yield f"expected status to be one of {', '.join(sorted(codes.STATUSES))}, got {status!r}"


def _category(resource: Json) -> Iterator[str]:
    category = resource.get("category", {})
    first = category[0] if isinstance(category, list) and category else category
    code = _code_of(first) if isinstance(first, Mapping) else ""
    if code not in {codes.RADIOTHERAPY[0], codes.OLD_RADIOTHERAPY}:
        yield f"expected category {codes.RADIOTHERAPY[0]} (radiotherapy), got {code!r}"


def _old_category(resource: Json) -> Iterator[str]:
    category = resource.get("category", {})
    first = category[0] if isinstance(category, list) and category else category
    if isinstance(first, Mapping) and _code_of(first) == codes.OLD_RADIOTHERAPY:
        yield f"category {codes.OLD_RADIOTHERAPY} is of a guide before 2.0"


def _subject(resource: Json) -> Iterator[str]:
    name = "patient" if _is_volume(resource) else "subject"
    if not resource.get(name, {}).get("reference"):
        yield f"expected {name} to refer to a patient, got none"


def _identifiers(resource: Json) -> Iterator[str]:
    items = resource.get("identifier", [])
    usual = [i for i in items if i.get("use") == "usual" and "value" in i]
    official = [i for i in items if i.get("use") == "official"]
    if len(usual) != 1:
        yield f"expected one identifier of use usual with a value, got {len(usual)}"
    if not any(i.get("system") and i.get("value") for i in official):
        yield "expected an identifier of use official with system and value, got none"
    for item in official:
        is_uid = item.get("system") == codes.DICOM_UID
        if is_uid and not re.fullmatch(r"urn:oid:[0-2](\.\d+)+", item.get("value", "")):
            yield f"expected a DICOM UID as urn:oid:..., got {item.get('value')!r}"


def _period(resource: Json) -> Iterator[str]:
    others = [n for n in resource if n.startswith("performed") and n != "performedPeriod"]
    if others:
        yield f"expected performedPeriod, got {others[0]}"
    period = resource.get("performedPeriod", {})
    if _is_course(resource) and not period:
        yield "expected a performedPeriod, got none"
    start, end = period.get("start", ""), period.get("end", "")
    if start and end and end[:10] < start[:10]:
        yield f"ends on {end}, before it starts on {start}"


def _stop_reason(resource: Json) -> Iterator[str]:
    if "statusReason" not in resource:
        return
    if resource.get("status") != "stopped":
        yield f"a statusReason needs status stopped, got {resource.get('status')!r}"
    elif resource["statusReason"].get("coding") and (
        _code_of(resource["statusReason"]) not in STOP_REASONS
    ):
        yield f"statusReason {_code_of(resource['statusReason'])!r} is no termination reason"


def _end_of_ended(resource: Json) -> Iterator[str]:
    period = resource.get("performedPeriod", {})
    is_over = resource.get("status") in {"completed", "stopped"}
    is_said = "end" in period or "_end" in period or any(extensions_of(period, ABSENT_REASON))
    if is_over and period and not is_said:
        yield "a course that has ended should have an end"


def _dose_extensions(resource: Json) -> Iterator[tuple[str, Json]]:
    for url in DOSE_PARTS:
        for item in extensions_of(resource, url):
            yield url, item


def _volumes_of_doses(resource: Json) -> Iterator[str]:
    for url, item in _dose_extensions(resource):
        volumes = [v for v in extensions_of(item, "volume") if "valueReference" in v]
        if len(volumes) != 1:
            name = url.rsplit("/", 1)[-1]
            yield f"expected one volume for each {name}, got {len(volumes)}"


def _centigray(resource: Json) -> Iterator[str]:
    for url, item in _dose_extensions(resource):
        for name in DOSE_PARTS[url]:
            for part in extensions_of(item, name):
                quantity = part.get("valueQuantity", {})
                is_absent = any(extensions_of(quantity, ABSENT_REASON))
                fits = quantity.get("code") == "cGy" and quantity.get("system") == codes.UCUM
                if not is_absent and not fits:
                    value, code = quantity.get("value"), quantity.get("code")
                    yield f"expected {name} with UCUM code cGy, got {value} {code}"


def _unit_beside_code(resource: Json) -> Iterator[str]:
    for url, item in _dose_extensions(resource):
        for name in DOSE_PARTS[url]:
            for part in extensions_of(item, name):
                quantity = part.get("valueQuantity", {})
                unit = quantity.get("unit", "cGy")
                if quantity.get("code") == "cGy" and unit != "cGy":
                    yield f"{name}: unit {unit!r} beside code cGy; one of the two is wrong"


def _counts(resource: Json) -> Iterator[str]:
    for url, item in _dose_extensions(resource):
        for part in extensions_of(item, COUNT_PARTS[url]):
            value = next((v for n, v in part.items() if n.startswith("value")), 0)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                yield f"expected {COUNT_PARTS[url]} to be a whole number, got {value!r}"


def _uniform(resource: Json) -> Iterator[str]:
    for item in extensions_of(resource, codes.DOSE_DELIVERED):
        said = [e for e in extensions_of(item, codes.UNIFORM)]
        if len(said) != 1:
            yield f"expected every dose to say once whether it is uniform, got {len(said)}"


def _metric_values(resource: Json) -> Iterator[str]:
    for item in extensions_of(resource, codes.DOSE_DELIVERED):
        for metric in extensions_of(item, codes.METRIC):
            quantity = metric.get("valueQuantity", {})
            if not isinstance(quantity.get("value"), int | float) or not quantity.get("unit"):
                yield "expected a radiobiologic metric with value and unit"
            elif "cGy" in str(quantity.get("unit")) or quantity.get("code") == "cGy":
                yield f"expected a radiobiologic metric in Gy, got {quantity.get('unit')}"


def _metric_units(resource: Json) -> Iterator[str]:
    for item in extensions_of(resource, codes.DOSE_DELIVERED):
        for metric in extensions_of(item, codes.METRIC):
            unit = str(metric.get("valueQuantity", {}).get("unit", ""))
            if not GUIDE_METRIC_UNIT.match(unit):
                yield f"unit {unit!r} does not fit the guide's pattern of metric units"


def _modality(resource: Json) -> Iterator[str]:
    for item in extensions_of(resource, codes.MODALITY_AND_TECHNIQUE):
        n_found = len(list(extensions_of(item, codes.MODALITY)))
        if n_found != 1:
            yield f"expected one modality for each technique, got {n_found}"


def _one(url: str) -> Callable[[Json], Iterator[str]]:
    """Return the rule that an extension comes at most once."""

    def broken(resource: Json) -> Iterator[str]:
        n_found = len(list(extensions_of(resource, url)))
        if n_found > 1:
            yield f"expected {url.rsplit('/', 1)[-1]} at most once, got {n_found}"

    return broken


def _reirradiation(resource: Json) -> Iterator[str]:
    for item in extensions_of(resource, codes.REIRRADIATION):
        if not isinstance(item.get("valueBoolean", False), bool):
            yield f"expected re-irradiation to be true or false, got {item['valueBoolean']!r}"


def _part_of(resource: Json) -> Iterator[str]:
    if len(resource.get("partOf", [])) > 1:
        yield f"expected a phase of one course, got {len(resource['partOf'])}"


def _request_basics(resource: Json) -> Iterator[str]:
    if resource.get("intent") not in REQUEST_INTENTS:
        yield f"expected an intent such as order, got {resource.get('intent')!r}"
    if not resource.get("status"):
        yield "expected a status, got none"


def _planned_fractions(resource: Json) -> Iterator[str]:
    for url in (codes.FRACTIONS_PLANNED, codes.FRACTIONS_PRESCRIBED):
        for item in extensions_of(resource, url):
            value = item.get("valuePositiveInt", 1)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                yield f"expected at least one fraction, got {value!r}"


def _patient_identity(resource: Json) -> Iterator[str]:
    if not any(item.get("value") for item in resource.get("identifier", [])):
        yield "expected a patient with an identifier, got none"


CONSTRAINTS: tuple[Constraint, ...] = (
    Constraint("codexrt-procedure-status", True, _is_procedure, _status),
    Constraint("category", True, _is_radiotherapy, _category),
    Constraint("category-of-older-guide", False, _is_radiotherapy, _old_category),
    Constraint("subject", True, lambda r: _is_radiotherapy(r) or _is_volume(r), _subject),
    Constraint("identifier", True, lambda r: _is_course(r) or _is_volume(r), _identifiers),
    Constraint("performed-period", True, _is_procedure, _period),
    Constraint("status-reason", True, _is_procedure, _stop_reason),
    Constraint("period-end", False, _is_course, _end_of_ended),
    Constraint("dose-volume", True, _is_radiotherapy, _volumes_of_doses),
    Constraint("dose-in-cgy", True, _is_radiotherapy, _centigray),
    Constraint("dose-unit", True, _is_radiotherapy, _unit_beside_code),
    Constraint("fraction-count", True, _is_radiotherapy, _counts),
    Constraint("uniform-fractionation", True, _is_course, _uniform),
    Constraint("metric", True, _is_course, _metric_values),
    Constraint("metric-unit", False, _is_course, _metric_units),
    Constraint("modality", True, _is_radiotherapy, _modality),
    Constraint("one-intent", True, _is_course, _one(codes.INTENT)),
    Constraint("one-reirradiation", True, _is_course, _one(codes.REIRRADIATION)),
    Constraint("reirradiation", True, _is_course, _reirradiation),
    Constraint("one-fraction-count", True, _is_phase, _one(codes.FRACTIONS_DELIVERED)),
    Constraint("part-of", True, _is_phase, _part_of),
    Constraint("request", True, _is_request, _request_basics),
    Constraint("fractions-planned", True, _is_request, _planned_fractions),
    Constraint("patient", True, _is_patient, _patient_identity),
)
"""Every rule."""
