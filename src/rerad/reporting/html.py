"""The report as one HTML file that needs no other: figures are embedded, nothing is fetched."""

import base64
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, FunctionLoader, StrictUndefined, select_autoescape

from rerad.reporting.document import ReportContent

_TEMPLATES = files("rerad.reporting") / "templates"


def html_text(content: ReportContent, figures: Mapping[str, Path]) -> str:
    """Return the report as HTML.

    Parameters
    ----------
    content : ReportContent
        What it says; every text is escaped.
    figures : mapping of str to Path
        PNG files by the key of their picture; a picture without a file is left out.

    Returns
    -------
    str
        A whole document with style and figures inside.
    """
    environment = Environment(
        loader=FunctionLoader(lambda name: (_TEMPLATES / name).read_text(encoding="utf-8")),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    images = {key: _data_uri(path) for key, path in figures.items()}
    style = (_TEMPLATES / "style.css").read_text(encoding="utf-8")
    template = environment.get_template("report.html.j2")
    return template.render(content=content, images=images, style=style)


def _data_uri(path: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
