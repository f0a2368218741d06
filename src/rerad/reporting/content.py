"""What the report says, as one pure object in the order in which a clinician reads it."""

from rerad.planning.result import CaseResult
from rerad.reporting import content_history, content_plan, content_record
from rerad.reporting.document import Paragraph, ReportContent, Section
from rerad.reporting.registration_text import registration_section
from rerad.reporting.wording import BANNER, TRUST_MEANINGS, Citations


def report_content(result: CaseResult) -> ReportContent:
    """Say everything about a result, without layout.

    Parameters
    ----------
    result : CaseResult
        What a run found.

    Returns
    -------
    ReportContent
        Sections, tables, captions and references; the same for HTML, PDF and tests. It depends
        on nothing but `result`.
    """
    citations = Citations()
    sections = (
        content_history.who_section(result, citations),
        content_history.timeline_section(result),
        content_history.before_section(result),
        content_history.unknown_section(result),
        registration_section(result, citations),
        content_plan.budget_section(result, citations),
        content_plan.plan_section(result, nerve_alpha_beta_gy(result)),
        content_plan.dvh_section(result),
        content_plan.goals_section(result, citations),
        content_plan.findings_section(result),
        content_plan.interruption_section(result, citations),
        content_history.outcome_section(result),
        content_record.beams_section(result),
        content_record.provenance_section(result),
        _references_section(),
    )
    tags = citations.tags()
    return ReportContent(
        title=result.title,
        subtitle="Re-irradiation planning report",
        banner=BANNER,
        footer=f"rerad {result.provenance.rerad_version} · plan {result.plan.label} · unapproved",
        sections=sections,
        references=citations.references(),
        trust_legend=tuple((t, m) for t, m in TRUST_MEANINGS.items() if t in tags),
    )


def _references_section() -> Section:
    """The last section; the templates add the numbered list to it."""
    text = (
        "Each number that limits or converts a dose carries its source and how far that source "
        "was read."
    )
    return Section("references", "Sources", (Paragraph(text),))


def nerve_alpha_beta_gy(result: CaseResult) -> float | None:
    """Return the alpha/beta that the cumulative pictures are drawn with, in Gy.

    That of the organ whose cumulative limit is used up most, as planned: in a case about nerves
    the nerves'. None if there is no cumulative dose.
    """
    rows = [
        row
        for row in result.summary
        if not row.is_target and row.alpha_beta_gy in result.planned.cumulative
    ]
    if not rows:
        return min(result.planned.cumulative, default=None)
    shares = [
        (row.cumulative_eqd2_gy / row.planned.goal.at_most, row.alpha_beta_gy)
        for row in rows
        if row.planned.goal.at_most and row.cumulative_eqd2_gy == row.cumulative_eqd2_gy
    ]
    return max(shares)[1] if shares else rows[0].alpha_beta_gy
