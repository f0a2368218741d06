"""What the report says, as one pure object in the order in which a clinician reads it."""

from dataclasses import replace

from rerad.planning.result import CaseResult
from rerad.reporting import content_history, content_plan, content_record
from rerad.reporting.checklist import CHECKLIST, checklist_section
from rerad.reporting.consult import Consult
from rerad.reporting.content_consult import (
    consult_section,
    organs_by_course_table,
    outcome_blocks,
    response_blocks,
)
from rerad.reporting.content_nerves import nerve_section
from rerad.reporting.content_prices import prices_section
from rerad.reporting.content_robust import robust_section
from rerad.reporting.document import (
    Block,
    Paragraph,
    ReferenceList,
    ReportContent,
    Section,
    SignatureLines,
)
from rerad.reporting.figures_nerve import NervePictures
from rerad.reporting.registration_text import registration_section
from rerad.reporting.wording import BANNER, TRUST_MEANINGS, Citations

_SIGNATURES: tuple[str, ...] = ("Radiation oncologist", "Medical physicist", "Second check")


def report_content(
    result: CaseResult, consult: Consult | None = None, nerves: NervePictures | None = None
) -> ReportContent:
    """Say everything about a result, without layout.

    Parameters
    ----------
    result : CaseResult
        What a run found.
    consult : Consult or None
        What people state, and the records of the patient; None leaves out the consult parts.
    nerves : NervePictures or None
        Nerve roots that were measured; None leaves out their section.

    Returns
    -------
    ReportContent
        Sections, tables, captions and references; the same for HTML, PDF and tests. It depends
        on nothing but what is given.
    """
    citations = Citations()
    sections = (
        content_history.who_section(result, citations),
        consult_section(result, consult, citations) if consult is not None else None,
        content_history.before_section(result),
        content_history.timeline_section(result),
        content_history.unknown_section(result),
        nerve_section(nerves, citations),
        registration_section(result, citations),
        _with(content_plan.budget_section(result, citations), _by_course(result, consult)),
        content_plan.plan_section(result, nerve_alpha_beta_gy(result)),
        content_plan.dvh_section(result),
        content_plan.goals_section(result, citations),
        robust_section(result, citations),
        prices_section(result),
        content_plan.findings_section(result),
        content_plan.interruption_section(result, citations),
        _with(
            content_history.outcome_section(
                result, response_blocks(consult.history, citations) if consult is not None else ()
            ),
            tuple(outcome_blocks(consult.history)) if consult is not None else (),
        ),
        content_record.beams_section(result),
        content_record.provenance_section(result),
    )
    present = [s for s in sections if s is not None]
    label = content_record.written_label(result.plan)
    if consult is not None:
        last = _sources_section(citations)
        present.append(checklist_section((*present, CHECKLIST, last), citations))
    return ReportContent(
        title=result.title,
        subtitle="Re-irradiation planning report",
        banner=BANNER,
        footer=f"rerad {result.provenance.rerad_version} · plan {label} · unapproved",
        sections=(*present, _sources_section(citations)),
    )


def _with(section: Section, more: tuple[Block, ...]) -> Section:
    """Return a section with further blocks at its end."""
    return replace(section, blocks=(*section.blocks, *more))


def _by_course(result: CaseResult, consult: Consult | None) -> tuple[Block, ...]:
    """Return the organs course by course, in a consult."""
    table = None if consult is None else organs_by_course_table(result, consult.end_slab)
    return () if table is None else (table,)


def _sources_section(citations: Citations) -> Section:
    """The numbered sources, and blank lines to sign on: the last section."""
    text = (
        "Each number that limits or converts a dose carries its source, and a tag that says how "
        "far that source was read."
    )
    tags = citations.tags()
    legend = tuple((tag, words) for tag, words in TRUST_MEANINGS.items() if tag in tags)
    sources = ReferenceList(citations.references(), legend)
    return Section("sources", "Sources", (Paragraph(text), sources, SignatureLines(_SIGNATURES)))


def nerve_alpha_beta_gy(result: CaseResult) -> float | None:
    """Return the alpha/beta that the cumulative pictures are drawn with, in Gy.

    The lowest of any organ that is judged: nerves and other late-reacting tissue. None if there
    is no cumulative dose.
    """
    judged = [
        row.alpha_beta_gy
        for row in result.summary
        if not row.is_target and row.alpha_beta_gy in result.planned.cumulative
    ]
    values = [value for value in judged if value is not None]
    return min(values or result.planned.cumulative, default=None)
