"""The small parts of FHIR resources: extensions, quantities, codes, and values that are absent."""

import datetime
import uuid
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from rerad.core.clinical_history import Absent
from rerad.errors import InputError
from rerad.exchange.codes import (
    ABSENCES,
    ABSENT_REASON,
    DICOM_UID,
    NULL_FLAVOR,
    SNOMED,
    UCUM,
)

Json = dict[str, Any]
_NAMESPACE = uuid.UUID("0f9a3a86-52a5-5c1e-9f0e-6f2f6d1f4c11")
_COMPLEX = frozenset({"Quantity", "CodeableConcept", "Reference"})


def resource_id(*names: str) -> str:
    """Return the ID of a resource that these names always give."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(names)))


def official_uid(*names: str) -> str:
    """Return a UID for what has none in DICOM, derived from these names."""
    return f"2.25.{uuid.uuid5(_NAMESPACE, chr(31).join(names)).int}"


def identifiers(display_system: str, display: str, uid: str) -> list[Json]:
    """Return the two identifiers that the guide asks for: the name shown, and a UID."""
    return [
        {"use": "usual", "system": display_system, "value": display},
        {"use": "official", "system": DICOM_UID, "value": f"urn:oid:{uid}"},
    ]


def concept(code: tuple[str, str] | None, text: str = "") -> Json:
    """Return a CodeableConcept of a SNOMED CT code, with its text."""
    found: Json = {}
    if code is not None:
        found["coding"] = [{"system": SNOMED, "code": code[0], "display": code[1]}]
    if text:
        found["text"] = text
    return found


def coded_or_text(code: tuple[str, str] | None, text: str) -> Json:
    """Return a concept whose value set has no code for a text: un-encoded, as the guide says it.

    Parameters
    ----------
    code : tuple of str or None
        Code and display, None where the set has none.
    text : str
        As the record says it.
    """
    if code is not None:
        return concept(code, text)
    return {"coding": [{"system": NULL_FLAVOR, "code": "UNC", "display": "un-encoded"}],
            "text": text}  # fmt: skip


def reference(resource: Json, display: str = "") -> Json:
    """Return a reference to a resource of the same bundle, by its full URL there."""
    found = {"reference": full_url(resource), "type": resource["resourceType"]}
    return found | ({"display": display} if display else {})


def full_url(resource: Json) -> str:
    """Return the name of a resource within its bundle."""
    return f"urn:uuid:{resource['id']}"


def absent_reason(value: Absent) -> Json:
    """Return why a value is not there, as FHIR says it."""
    return {"url": ABSENT_REASON, "valueCode": ABSENCES[value.value]}


def extension(url: str, kind: str, value: Any, *, is_required: bool = False) -> list[Json]:
    """Return an extension with a value, none if nobody has asked for it.

    Parameters
    ----------
    url : str
        Of the extension.
    kind : str
        FHIR type of the value: ``Boolean``, ``UnsignedInt``, ``Quantity`` ...
    value : object
        JSON value, or `Absent`.
    is_required : bool
        Whether the guide wants the extension all the same; it then says that nobody has asked.

    Returns
    -------
    list of dict
        No or one extension.
    """
    if value is Absent.NOT_ASKED and not is_required:
        return []
    if not isinstance(value, Absent):
        return [{"url": url, f"value{kind}": value}]
    reason = {"extension": [absent_reason(value)]}
    mark = "" if kind in _COMPLEX else "_"
    return [{"url": url, f"{mark}value{kind}": reason}]


def nested(url: str, *parts: list[Json]) -> Json:
    """Return an extension that is made of others."""
    return {"url": url, "extension": [item for part in parts for item in part]}


def centigray(gray: float) -> Json:
    """Return a dose in Gy as the Quantity in cGy that the guide fixes, with the same digits."""
    value = Decimal(repr(float(gray))).scaleb(2)
    return {"value": float(value), "unit": "cGy", "system": UCUM, "code": "cGy"}


def dose(url: str, gray: float | Absent) -> list[Json]:
    """Return a dose extension, none if nobody has asked; in cGy, with and without a value."""
    if not isinstance(gray, Absent):
        return extension(url, "Quantity", centigray(gray))
    found = extension(url, "Quantity", gray)
    for item in found:
        item["valueQuantity"] |= {"unit": "cGy", "system": UCUM, "code": "cGy"}
    return found


def gray_of(quantity: Mapping[str, Any], where: str) -> float:
    """Return a Quantity in cGy as Gy.

    Raises
    ------
    InputError
        If its code is not cGy, or it has no value.
    """
    code = quantity.get("code")
    if code != "cGy":
        msg = f"{where}: expected a dose with UCUM code cGy, got {quantity.get('value')} {code}; "
        msg += "a dose in Gy would be read a hundred times too low"
        raise InputError(msg)
    value = quantity.get("value")
    if not isinstance(value, int | float) or isinstance(value, bool):
        msg = f"{where}: expected a dose with a number as value, got {value!r}"
        raise InputError(msg)
    return float(Decimal(repr(float(value))).scaleb(-2))


def day(value: datetime.date) -> str:
    """Return a date as FHIR writes it."""
    return value.isoformat()


def extensions_of(item: Mapping[str, Any], url: str) -> Iterator[Json]:
    """Return the extensions of one address."""
    for found in item.get("extension", []):
        if found.get("url") == url:
            yield found


def value_of(item: Mapping[str, Any], url: str) -> Any:
    """Return the value of an extension: `Absent` where it says so or is not there."""
    for found in extensions_of(item, url):
        return extension_value(found)
    return Absent.NOT_ASKED


def extension_value(found: Mapping[str, Any]) -> Any:
    """Return the value that an extension holds, or why it holds none."""
    for name, value in found.items():
        if name.startswith("_value"):
            return absence_of(value)
        if name.startswith("value"):
            is_absent = isinstance(value, Mapping) and any(extensions_of(value, ABSENT_REASON))
            return absence_of(value) if is_absent else value
    return Absent.NOT_ASKED


def absence_of(item: Mapping[str, Any]) -> Absent:
    """Return why a value is not there."""
    words = {code: word for word, code in ABSENCES.items()} | {"unknown": "unknown"}
    for found in extensions_of(item, ABSENT_REASON):
        return Absent(words.get(found.get("valueCode", ""), Absent.UNKNOWN.value))
    return Absent.NOT_ASKED
