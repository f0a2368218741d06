"""The files that a report comes to."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from rerad.planning.result import CaseResult
from rerad.reporting import ReportFiles, report_content, write_report
from rerad.reporting.pdf import pdf_bytes
from rerad.reporting.wording import BANNER


@pytest.fixture(scope="module")
def files(case_result: CaseResult, tmp_path_factory: pytest.TempPathFactory) -> ReportFiles:
    return write_report(case_result, tmp_path_factory.mktemp("report"))


def test_every_picture_of_the_content_is_drawn(
    files: ReportFiles, case_result: CaseResult
) -> None:
    keys = [picture.key for picture in report_content(case_result).pictures]
    assert [path.stem for path in files.figures] == keys
    for path in files.figures:
        pixels = imread(path)
        assert min(pixels.shape[:2]) > 200
        assert float(np.std(pixels[..., :3])) > 0.02, f"{path.name} is blank"


def test_nothing_else_is_left_in_the_folder(files: ReportFiles) -> None:
    names = sorted(path.name for path in files.html.parent.iterdir())
    assert names == ["figures", "report.html", "report.pdf"]


def test_writing_again_replaces_the_first_report(
    files: ReportFiles, case_result: CaseResult, tmp_path: Path
) -> None:
    stale = tmp_path / "figures" / "stale.png"
    stale.parent.mkdir()
    stale.write_bytes(b"old")
    said: list[str] = []
    again = write_report(case_result, tmp_path, progress=said.append)
    assert not stale.exists()
    assert again.html.read_text("utf-8") == files.html.read_text("utf-8")
    assert "report.pdf" in said


def test_html_escapes_what_users_write(files: ReportFiles) -> None:
    html = files.html.read_text("utf-8")
    assert "Doe^Jane &lt;test&gt;" in html
    assert "<test>" not in html
    assert "Cervical cancer &lt;stage II&gt;" in html


def test_html_needs_no_other_file(files: ReportFiles) -> None:
    html = files.html.read_text("utf-8")
    assert html.count("data:image/png;base64,") == len(files.figures)
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", html)
    assert "http" not in re.sub(r"https?://\S*doi\S*", "", html.split("<body>")[0])


def test_html_carries_the_banner_and_no_nan(files: ReportFiles) -> None:
    html = files.html.read_text("utf-8")
    assert BANNER in html
    text = re.sub(r"data:image/png;base64,[^\"]+", "", html)
    assert not re.search(r">\s*(nan|None|inf)\b", text)


def test_pdf_has_banner_and_page_number_on_every_page(files: ReportFiles) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed; the template puts the banner into the header")
    run = subprocess.run(
        ["pdftotext", "-layout", str(files.pdf), "-"], capture_output=True, text=True, check=True
    )
    pages = run.stdout.split("\f")[:-1]
    assert len(pages) >= 5
    for number, page in enumerate(pages, 1):
        assert BANNER in page
        assert f"page {number} of {len(pages)}" in page
    whole = "\n".join(pages)
    assert "Doe^Jane <test>" in whole
    assert not re.search(r"\bnan\b", whole)


def test_the_template_puts_the_banner_into_the_page_header() -> None:
    from importlib.resources import files as resources

    source = (resources("rerad.reporting") / "templates" / "report.typ").read_text("utf-8")
    header = source.split("header:")[1].split("footer:")[0]
    assert "content.banner" in header
    assert "@preview" not in source


def test_a_first_course_without_other_images_is_written_too(
    case_result: CaseResult, tmp_path: Path
) -> None:
    history = replace(case_result.history, courses=(), course_orders=(), events=(), unknowns=())
    result = replace(
        case_result,
        history=history,
        priors=(),
        budget=(),
        findings=(),
        targets=(),
        summary=(),
        delivered=None,
        assumptions=(),
        pet_suv=None,
        mr=None,
        planned=replace(case_result.planned, goals=(), cumulative_dvhs={}),
    )
    keys = [picture.key for picture in report_content(result).pictures]
    assert [path.stem for path in write_report(result, tmp_path).figures] == keys


def test_pdf_is_set_even_without_pictures(case_result: CaseResult) -> None:
    assert pdf_bytes(report_content(case_result), {}).startswith(b"%PDF")
