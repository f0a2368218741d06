"""Records as plain documents and back: one form for files, ledger rows' hashes and JSON.

A document holds text, numbers, booleans, lists and tables only. Dates are ISO text; what is
absent is the word for it (``"unknown"``, ``"not applicable"``), and what nobody has asked is left
out, so that a field added later leaves older documents, and their hashes, as they were.
"""

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from rerad.core.clinical_history import RECORD_KINDS, Absent, ClinicalRecord, kind_of
from rerad.errors import InputError

_Item = TypeVar("_Item")


def field_types(kind: type) -> dict[str, tuple[type, ...]]:
    """Return what each field of a record may hold, as plain types; tuples by their element.

    Parameters
    ----------
    kind : type
        A dataclass of `rerad.core.clinical_history`.
    """
    return _field_types(kind)


@cache
def _field_types(kind: type) -> dict[str, tuple[type, ...]]:
    found: dict[str, tuple[type, ...]] = {}
    for name, hint in get_type_hints(kind).items():
        if isinstance(hint, UnionType):
            found[name] = get_args(hint)
        elif get_origin(hint) is tuple:
            found[name] = (tuple, get_args(hint)[0])
        else:
            found[name] = (hint,)
    return found


def to_document(record: ClinicalRecord) -> dict[str, Any]:
    """Return a record as a document; its kind is the entry ``kind_of_record``."""
    return {"kind_of_record": kind_of(record)} | item_document(record)


def item_document(item: object) -> dict[str, Any]:
    """Return a record, or a part of one, as a document without its kind."""
    types = field_types(type(item))
    document: dict[str, Any] = {}
    for field in fields(item):  # type: ignore[arg-type]
        value = getattr(item, field.name)
        if value is Absent.NOT_ASKED or value == ():
            continue
        document[field.name] = _plain(value, types[field.name])
    return document


def _plain(value: Any, types: tuple[type, ...]) -> Any:
    """Return a value as it stands in a document."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, tuple):
        return [item_document(part) if is_dataclass(part) else part for part in value]
    return float(value) if float in types and not isinstance(value, str) else value


def from_document(document: Mapping[str, Any]) -> ClinicalRecord:
    """Return the record that a document describes.

    Raises
    ------
    InputError
        If its kind or one of its fields is not known, or a value does not fit.
    """
    content = dict(document)
    name = content.pop("kind_of_record", None)
    if name not in RECORD_KINDS:
        msg = f"expected a record of kind {', '.join(RECORD_KINDS)}, got {name!r}"
        raise InputError(msg)
    return from_item_document(RECORD_KINDS[name], content)


def from_item_document(kind: type[_Item], content: Mapping[str, Any]) -> _Item:
    """Return a record, or a part of one, of a given class from its document."""
    types = field_types(kind)
    strange = sorted(set(content) - set(types))
    if strange:
        msg = f"{kind.__name__} has no field {', '.join(strange)}; it has {', '.join(types)}"
        raise InputError(msg)
    values = {name: _value(value, types[name], name) for name, value in content.items()}
    try:
        return kind(**values)
    except TypeError as error:
        msg = f"{kind.__name__}: {str(error).split('() ')[-1]}"
        raise InputError(msg) from error


def _value(value: Any, types: tuple[type, ...], name: str) -> Any:
    """Return a value of a document as its field holds it."""
    if types[0] is tuple:
        part = types[1]
        return tuple(_part(v, part, name) for v in value)
    if Absent in types and isinstance(value, str) and value in {a.value for a in Absent}:
        return Absent(value)
    kind = types[0]
    try:
        return _typed(value, kind)
    except (ValueError, TypeError) as error:
        msg = f"{name}: expected {kind.__name__}, got {value!r}"
        raise InputError(msg) from error


def _part(value: Any, kind: type, name: str) -> Any:
    """Return one entry of a list."""
    if is_dataclass(kind):
        return from_item_document(kind, value)
    return _value(value, (kind,), name)


def _typed(value: Any, kind: type) -> Any:
    """Return a value as a date, an enumeration, a number or text, or raise."""
    if kind is datetime.date:
        is_date = isinstance(value, datetime.date)
        return value if is_date else datetime.date.fromisoformat(value)
    if issubclass(kind, Enum):
        return kind(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is float and is_number:
        return float(value)
    if type(value) is not kind:
        raise TypeError
    return value


def canonical_json(document: Mapping[str, Any]) -> str:
    """Return the one JSON text of a document: sorted keys, no spaces, UTF-8."""
    return json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def content_hash(document: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a document's canonical JSON, in hexadecimal digits."""
    return hashlib.sha256(canonical_json(document).encode("utf-8")).hexdigest()
