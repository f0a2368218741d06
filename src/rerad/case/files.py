"""Reading and writing ``case.toml``: strict on the way in, commented on the way out."""

import json
import os
import re
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import tomlkit
from pydantic import BaseModel, ValidationError
from tomlkit.items import Table

from rerad.case.history_schema import NOT_ASKED
from rerad.case.schema import SCHEMA_VERSION, CaseFile
from rerad.errors import CaseError

CASE_FILE_NAME = "case.toml"
"""Name of the case file in a case folder."""


def case_path(case: Path) -> Path:
    """Return the case file of a case folder, or the file itself if that is what `case` names.

    Raises
    ------
    CaseError
        If there is none.
    """
    path = case / CASE_FILE_NAME if case.is_dir() else case
    if not path.is_file():
        msg = f"expected a case file at {path}; make one with: rerad import FOLDER --case {case}"
        raise CaseError(msg)
    return path


def read_case(case: Path) -> CaseFile:
    """Read a case file.

    Parameters
    ----------
    case : Path
        The file, or the folder that holds it.

    Returns
    -------
    CaseFile
        Validated content.

    Raises
    ------
    CaseError
        If the file is absent, is not TOML, is of another schema version, or holds an unknown key
        or a value out of range; the message names file and key.
    """
    path = case_path(case)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is not valid TOML: {error}"
        raise CaseError(msg) from error
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        msg = f"{path}: expected schema_version = {SCHEMA_VERSION}, got {version!r}"
        raise CaseError(msg)
    try:
        return CaseFile.model_validate(content)
    except ValidationError as error:
        raise CaseError(first_problem(path, error)) from error


def first_problem(path: Path, error: ValidationError, *, inside: str = "") -> str:
    """Say the first thing that is wrong, and how many more keys are.

    Parameters
    ----------
    path : Path
        What was read, for the sentence.
    error : ValidationError
        Of the reader; the alternatives of one key are one problem.
    inside : str
        Start of the keys that the user did not write, such as ``"death.0."``.
    """
    problems: dict[str, list[Any]] = {}
    for item in sorted(
        error.errors(include_url=False), key=lambda item: item["type"] != "extra_forbidden"
    ):
        problems.setdefault(_key(item["loc"]).removeprefix(inside), []).append(item)
    key, found = next(iter(problems.items()))
    first = found[0]
    if first["type"] == "extra_forbidden":
        text = f"{path}: unknown key {key!r}; see `rerad schema` for the keys there are"
    elif first["type"] == "missing":
        text = f"{path}: key {key!r} is missing"
    else:
        text = f"{path}: {f'{key}: ' if key else ''}{_wanted(found)}"
        if first["type"] != "value_error":  # a check of our own says what came
            text += f", got {first.get('input')!r}"
        if key.endswith("n_fractions_delivered") and isinstance(first.get("input"), float):
            text += "; write the whole fractions, and the broken one as partial_fractions = [0.5]"
            if key.startswith("current_course"):
                text = (
                    text.rpartition(";")[0] + "; rerad interrupt --delivered takes such a number"
                )
    more = len(problems) - 1
    return f"{text} (and {more} more)" if more else text


def _key(place: tuple[int | str, ...]) -> str:
    """Return the key that a place of pydantic names, without its names of alternatives."""
    parts: list[str] = []
    for part in place:
        is_second_date = part == "date" and bool(parts) and parts[-1].endswith("date")
        if not is_second_date and not _ALTERNATIVE.fullmatch(str(part)):
            parts.append(str(part))
    return ".".join(parts)


_ALTERNATIVE = re.compile(r"int|float|bool|str|(?:constrained|lax|literal|function|tuple)[-\[].*")
"""What pydantic calls the alternatives of a value."""


def _wanted(problems: list[Any]) -> str:
    """Return what was expected: every alternative of a key, or what its check says."""
    words = [str(item["msg"]) for item in problems]
    if not all(text.startswith(_SHOULD_BE) for text in words):
        return words[0].removeprefix("Value error, ")
    kinds = (
        re.sub(r", (?:invalid|unable|input is) .*", "", text.removeprefix(_SHOULD_BE))
        .replace("a valid i", "an i")
        .replace("a valid ", "a ")
        .replace("a tuple", "a list")
        for text in words
    )
    return "expected " + " or ".join(dict.fromkeys(kinds))


_SHOULD_BE = "Input should be "


def write_case(case: CaseFile, path: Path) -> None:
    """Write a case file with a comment above every key; beside and renamed.

    Parameters
    ----------
    case : CaseFile
        What to write.
    path : Path
        The file; its folder must exist.
    """
    document = tomlkit.document()
    document.add(tomlkit.comment("A rerad case. Research use only. What nobody knows: unknown."))
    _add_fields(document, case)
    write_text(path, tomlkit.dumps(document))


def _add_fields(container: Any, model: BaseModel) -> None:
    """Add plain fields first, then tables: TOML wants them in that order."""
    fields = type(model).model_fields
    values = {name: getattr(model, name) for name in fields}
    tables = {n: v for n, v in values.items() if _is_table(v)}
    for name, value in values.items():
        description = fields[name].description
        is_absent_table = (description is None and value == ()) or value == {}
        if name in tables or value is None or value == NOT_ASKED or is_absent_table:
            continue
        if description:
            container.add(tomlkit.comment(description))
        container.add(name, _plain(value))
    for name, value in tables.items():
        if isinstance(value, BaseModel):
            container.add(name, _table(value))
        elif isinstance(value, dict):
            container.add(name, _mapping(value, fields[name].description))
        else:
            array = tomlkit.aot()
            for item in value:
                array.append(_table(item))
            container.add(name, array)


def _is_table(value: object) -> bool:
    """Return whether a value is written as a table or an array of tables."""
    if isinstance(value, BaseModel) or (isinstance(value, dict) and value):
        return True
    is_models = isinstance(value, tuple) and bool(value) and isinstance(value[0], BaseModel)
    return is_models and not _is_inline(value)


def _is_inline(value: object) -> bool:
    """Prescriptions read best as one line each inside their course."""
    return isinstance(value, tuple) and type(value[0]).__name__ == "PrescriptionTable"


def _table(model: BaseModel) -> Table:
    """Return a model as a TOML table."""
    table = tomlkit.table()
    table.comment(str(type(model).__doc__).splitlines()[0])
    _add_fields(table, model)
    return table


def _mapping(value: dict[str, Any], description: str | None) -> Table:
    """Return names and what belongs to them as a TOML table."""
    table = tomlkit.table()
    if description:
        table.comment(description)
    for name, item in value.items():
        table.add(name, _plain(item))
    return table


def _plain(value: object) -> Any:
    """Return a value as TOML writes it."""
    if isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        array = tomlkit.array()
        for item in value:
            inline = tomlkit.inline_table()
            inline.update(item.model_dump(exclude_none=True))
            array.append(inline)
        return array.multiline(multiline=True)
    if isinstance(value, tuple):
        array = tomlkit.array()
        array.extend(_plain(item) for item in value)
        return array.multiline(multiline=any(isinstance(v, str) for v in value))
    return value


def case_schema() -> dict[str, Any]:
    """Return the JSON Schema of the case file."""
    return CaseFile.model_json_schema()


def write_text(path: Path, text: str) -> None:
    """Write a text file beside its place and rename it, so that it is never half there."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, content: object) -> None:
    """Write JSON beside its place and rename it."""
    write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
