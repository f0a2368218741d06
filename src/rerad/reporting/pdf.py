"""The report as PDF: the typst wheel sets it, without system libraries, fonts or network.

The content goes to the template as JSON data, so no text of the user is ever read as markup.
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib
import typst

from rerad.errors import ComputationError
from rerad.reporting.document import ReportContent

_TEMPLATE = files("rerad.reporting") / "templates" / "report.typ"


def pdf_bytes(content: ReportContent, figures: Mapping[str, Path]) -> bytes:
    """Return the report as PDF.

    Parameters
    ----------
    content : ReportContent
        What it says.
    figures : mapping of str to Path
        PNG files by the key of their picture; a picture without a file is left out.

    Returns
    -------
    bytes
        A PDF of A4 pages; banner, page number and software on each.

    Raises
    ------
    ComputationError
        If the typesetter refuses.
    """
    with tempfile.TemporaryDirectory(prefix="rerad-report-") as name:
        root = Path(name)
        for key, path in figures.items():
            shutil.copyfile(path, root / f"{key}.png")
        data = {"content": as_data(content), "figures": sorted(figures)}
        (root / "content.json").write_text(json.dumps(data), encoding="utf-8")
        (root / "report.typ").write_text(_TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
        try:
            pdf = typst.compile(
                str(root / "report.typ"),
                root=str(root),
                font_paths=[str(Path(matplotlib.get_data_path()) / "fonts" / "ttf")],
                ignore_system_fonts=True,
                format="pdf",
            )
        except typst.TypstError as error:
            msg = f"expected the report to be set as PDF, got from typst: {error}"
            raise ComputationError(msg) from error
    if not isinstance(pdf, bytes):
        msg = f"expected one PDF from typst, got {type(pdf).__name__}"
        raise ComputationError(msg)
    return pdf


def as_data(value: object) -> Any:
    """Return a content object as plain lists, mappings and text for JSON.

    Blocks keep their ``kind``; everything else is as in the dataclass.
    """
    if is_dataclass(value) and not isinstance(value, type):
        data = {field.name: as_data(getattr(value, field.name)) for field in fields(value)}
        kind = getattr(type(value), "kind", None)
        return data if kind is None else {"kind": kind, **data}
    if isinstance(value, tuple | list):
        return [as_data(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)
