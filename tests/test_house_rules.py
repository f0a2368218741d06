"""The house keeps its own rules: sizes, names, sources, no stray prints."""

import ast
import tomllib
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "rerad"
FILES = sorted(SOURCE.rglob("*.py"))
FORBIDDEN_NAMES = {"utils", "helpers", "common", "misc", "base", "manager"}
MAX_FILE_LINES = 450
MAX_FUNCTION_LINES = {"kernels": 120}
DEFAULT_FUNCTION_LINES = 80


def functions(path: Path) -> list[ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def body_lines(node: ast.FunctionDef) -> int:
    """Count lines without the docstring."""
    first = node.body[0]
    has_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (node.end_lineno or 0) - node.lineno + 1 - docstring


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_files_and_functions_stay_small(path: Path) -> None:
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= MAX_FILE_LINES, f"{path.name} has {n_lines} lines"
    limit = MAX_FUNCTION_LINES.get(path.parent.name, DEFAULT_FUNCTION_LINES)
    too_long = {f.name: body_lines(f) for f in functions(path) if body_lines(f) > limit}
    assert not too_long


def test_no_room_is_a_drawer() -> None:
    names = {part for path in FILES for part in path.relative_to(SOURCE).with_suffix("").parts}
    assert not names & FORBIDDEN_NAMES


def test_numba_lives_in_kernels_only() -> None:
    offenders = [
        str(path.relative_to(SOURCE))
        for path in FILES
        if "import numba" in (text := path.read_text(encoding="utf-8")) or "from numba" in text
        if path.parent.name != "kernels"
    ]
    assert not offenders


def test_kernels_never_use_fastmath() -> None:
    for path in (SOURCE / "kernels").glob("*.py"):
        assert "fastmath" not in path.read_text(encoding="utf-8"), path.name


def test_every_clinical_table_row_names_its_source() -> None:
    for name in ("tolerances", "recovery", "alpha_beta", "nerve_diameters"):
        table = tomllib.loads((SOURCE / "tables" / f"{name}.toml").read_text(encoding="utf-8"))
        missing: list[object] = []

        def walk(node: object, has_source: bool, missing: list[object] = missing) -> None:
            if isinstance(node, dict):
                has_source = has_source or bool(node.get("citation"))
                numbers = [k for k in node if k.endswith(("_gy", "_mm")) or k == "fraction"]
                if numbers and not has_source:
                    missing.append(node)
                for value in node.values():
                    walk(value, has_source)
            elif isinstance(node, list):
                for value in node:
                    walk(value, has_source)

        walk(table, False)
        assert not missing, f"{name}: {missing[:2]}"


def test_nothing_can_write_an_approved_plan() -> None:
    for path in (SOURCE / "dicom").glob("*writing*.py"):
        text = path.read_text(encoding="utf-8")
        assert '"APPROVED"' not in text, path.name
