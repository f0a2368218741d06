"""Whether a bundle is built as FHIR JSON is built: lists where lists belong, texts where texts do.

Only the elements that rerad reads are checked, by their names. A bundle that is built otherwise is
refused with the place, before anything reads it.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from rerad.errors import InputError, ReradError

_P = ParamSpec("_P")
_T = TypeVar("_T")

LISTS = frozenset({
    "entry", "extension", "identifier", "coding", "basedOn", "partOf", "note", "name", "bodySite",
    "reasonCode",
})  # fmt: skip
OBJECTS = frozenset({
    "resource", "meta", "subject", "patient", "performedPeriod", "statusReason", "location",
    "valueReference", "valueQuantity", "valueCodeableConcept",
})  # fmt: skip
TEXTS = frozenset({
    "resourceType", "fullUrl", "id", "url", "system", "use", "display", "reference", "status",
    "intent", "start", "end", "birthDate", "gender", "family", "unit", "valueString", "valueCode",
    "valueDate",
})  # fmt: skip
TEXT_LISTS = frozenset({"profile", "given"})
NUMBERS = frozenset({"valueDecimal"})
COUNTS = frozenset({"valueUnsignedInt", "valuePositiveInt"})
FLAGS = frozenset({"valueBoolean"})

_WORDS: tuple[tuple[frozenset[str], str, Callable[[Any], bool]], ...] = (
    (LISTS, "a list of objects", lambda v: isinstance(v, list) and all(map(_is_object, v))),
    (OBJECTS, "an object", lambda v: _is_object(v)),
    (TEXTS, "a text", lambda v: isinstance(v, str)),
    (TEXT_LISTS, "a list of texts", lambda v: isinstance(v, list) and all(map(_is_text, v))),
    (NUMBERS, "a number", lambda v: _is_number(v)),
    (FLAGS, "true or false", lambda v: isinstance(v, bool)),
    (frozenset({"code"}), "an object or a text", lambda v: isinstance(v, Mapping | str)),
    (frozenset({"text"}), "a text or an object", lambda v: isinstance(v, Mapping | str)),
    (frozenset({"value"}), "a text or a number", lambda v: _is_text(v) or _is_number(v)),
    (
        frozenset({"category"}),
        "an object or a list of objects",
        lambda v: _is_object(v) or (isinstance(v, list) and all(map(_is_object, v))),
    ),
)  # fmt: skip
"""Names, what they hold in words, and whether a value is that."""


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def require_shape(bundle: Mapping[str, Any]) -> None:
    """Raise if a bundle is not built as FHIR JSON.

    Parameters
    ----------
    bundle : mapping
        Parsed JSON.

    Raises
    ------
    InputError
        With the first place that is built otherwise.
    """
    for problem in _problems(bundle, "bundle"):
        raise InputError(problem)


def _problems(item: Any, place: str) -> Iterator[str]:
    """Return what is built otherwise, at every depth."""
    if item is None:
        yield f"{place}: expected a value, got null, which FHIR does not know"
    elif isinstance(item, Mapping):
        for name, value in item.items():
            yield from _wrong_kind(str(name), value, f"{place}.{name}")
            yield from _problems(value, f"{place}.{name}")
    elif isinstance(item, list):
        for number, value in enumerate(item):
            yield from _problems(value, f"{place}[{number}]")


def _wrong_kind(name: str, value: Any, place: str) -> Iterator[str]:
    """Return whether one element holds another kind of value than its name says."""
    if name.startswith("_") and not isinstance(value, Mapping | list):
        yield f"{place}: expected an object, got {_short(value)}"
    for names, words, fits in _WORDS:
        if name in names and not fits(value):
            yield f"{place}: expected {words}, got {_short(value)}"
    if name in COUNTS and not (isinstance(value, int) and not isinstance(value, bool)):
        yield f"{place}: expected a whole number, got {_short(value)}"


def _short(value: Any) -> str:
    """Return a value for a sentence."""
    if isinstance(value, Mapping | list):
        return "an object" if isinstance(value, Mapping) else "a list"
    return repr(value)[:40]


def guard_reader(read: Callable[_P, _T]) -> Callable[_P, _T]:
    """Turn what a reader stumbles over in a bundle of odd build into one sentence."""

    @wraps(read)
    def guarded(*args: _P.args, **kwargs: _P.kwargs) -> _T:
        try:
            return read(*args, **kwargs)
        except ReradError:
            raise
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            said = f"{type(error).__name__}: {error}"[:80]
            msg = (
                "expected a bundle of FHIR R4 resources after the CodeX radiation therapy guide, "
                f"got one that cannot be read ({said}); ask its sender"
            )
            raise InputError(msg) from error

    return guarded
