"""The page about case.toml says what the schema says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from rerad.case import case_schema

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = ROOT / "tools" / "docs" / "case_file_page.py"
    spec = importlib.util.spec_from_file_location("case_file_page", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(tool: ModuleType) -> None:
    written = (ROOT / "docs" / "case-file.md").read_text(encoding="utf-8")
    assert written == tool.page(), "run: python tools/docs/case_file_page.py"


def test_every_key_of_every_table_is_on_the_page(tool: ModuleType) -> None:
    text = tool.page()
    schema = case_schema()
    for table in (schema, *schema["$defs"].values()):
        for key, item in table["properties"].items():
            is_section = tool.is_table(item) and table is schema
            assert (f"[{key}]" if is_section else f"| `{key}` |") in text, key


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 200}, "number above 0 to 200"),
        ({"type": "string", "minLength": 1}, "text, not empty"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number"),
        ({"enum": ["plan", "cumulative"]}, '`"plan"`, `"cumulative"`'),
        ({"type": "array", "items": {"type": "string"}}, "list of text"),
    ],
)
def test_types_in_words(tool: ModuleType, schema: dict[str, object], text: str) -> None:
    assert tool.type_text(schema) == text
