"""Writing a report: figures, HTML and PDF, all or nothing."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rerad.planning.result import CaseResult
from rerad.reporting.consult import Consult
from rerad.reporting.content import report_content
from rerad.reporting.figures import draw_figures
from rerad.reporting.figures_nerve import NervePictures
from rerad.reporting.html import html_text
from rerad.reporting.pdf import pdf_bytes


@dataclass(frozen=True, slots=True)
class ReportFiles:
    """What was written.

    Parameters
    ----------
    html, pdf : Path
        The report.
    figures : tuple of Path
        PNG files in the order of the report.
    """

    html: Path
    pdf: Path
    figures: tuple[Path, ...]


def write_report(
    result: CaseResult,
    folder: Path,
    *,
    consult: Consult | None = None,
    nerves: NervePictures | None = None,
    progress: Callable[[str], None] | None = None,
) -> ReportFiles:
    """Write ``report.html``, ``report.pdf`` and ``figures/*.png``.

    Everything is made beside its place and moved there at the end, so a failure leaves what was
    there before.

    Parameters
    ----------
    result : CaseResult
        What a run found.
    folder : Path
        Where the files go; made if it is missing.
    consult : Consult or None
        What people state, and the records of the patient; None leaves out the consult parts.
    nerves : NervePictures or None
        Nerve roots that were measured; None leaves out their section and pictures.
    progress : callable or None
        Called with what is being made.

    Returns
    -------
    ReportFiles
        The paths.

    Raises
    ------
    ComputationError
        If the PDF cannot be set.
    """
    tell = progress if progress is not None else _say_nothing
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".report-", dir=folder) as name:
        work = Path(name)
        drawn = work / "figures"
        drawn.mkdir()
        content = report_content(result, consult, nerves)
        figures = draw_figures(result, drawn, tell, nerves)
        tell("report.html")
        (work / "report.html").write_text(html_text(content, figures), encoding="utf-8")
        tell("report.pdf")
        (work / "report.pdf").write_bytes(pdf_bytes(content, figures))
        for file in ("report.html", "report.pdf"):
            (work / file).replace(folder / file)
        _replace_folder(drawn, folder / "figures")
    paths = tuple(folder / "figures" / path.name for path in figures.values())
    return ReportFiles(folder / "report.html", folder / "report.pdf", paths)


def _replace_folder(new: Path, place: Path) -> None:
    """Put a folder in the place of an older one."""
    if place.exists():
        old = new.with_name("figures-before")
        place.rename(old)
        new.rename(place)
        shutil.rmtree(old)
    else:
        new.rename(place)


def _say_nothing(_: str) -> None:
    return None
