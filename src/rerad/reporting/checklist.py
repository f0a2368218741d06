"""What consensus asks to be reported of a re-irradiation, and where this report says it."""

from dataclasses import dataclass

from rerad.outcome.overlap import CONSENSUS
from rerad.reporting.document import Align, Cell, Emphasis, Paragraph, Section, Table
from rerad.reporting.wording import Citations


@dataclass(frozen=True, slots=True)
class ReportingItem:
    """One thing that is to be reported.

    Parameters
    ----------
    text : str
        What.
    section : str
        Key of the section of the report that says it.
    words : str
        Label or title there by which it is found.
    """

    text: str
    section: str
    words: str


ITEMS: tuple[ReportingItem, ...] = (
    ReportingItem("Patient and tumour", "who", "Patient"),
    ReportingItem("Who asks, who answers, and why", "consult", "Requested by"),
    ReportingItem("Performance status", "consult", "Performance status"),
    ReportingItem("Estimate of survival", "consult", "Life expectancy"),
    ReportingItem("Quality of life", "consult", "Quality of life"),
    ReportingItem("Response to earlier irradiation", "consult", "Response to earlier courses"),
    ReportingItem("Toxicity of earlier irradiation", "consult", "Toxicity of earlier courses"),
    ReportingItem("Multidisciplinary decision", "consult", "Multidisciplinary decision"),
    ReportingItem("Shared decision with the patient", "consult", "Shared decision"),
    ReportingItem(
        "Every course: site, dates, interval", "consult", "Every course of radiotherapy"
    ),
    ReportingItem("Dose, fractions, technique, intent", "consult", "Every course of radiotherapy"),
    ReportingItem("Planned against delivered", "before", "Dose by course"),
    ReportingItem("Quality of each record", "before", "On record"),
    ReportingItem("Type of re-irradiation, overlap", "consult", "Type of re-irradiation"),
    ReportingItem("Registration: method and quality", "registration", "CT of"),
    ReportingItem("Who checked the registration", "consult", "Registration checked by"),
    ReportingItem("Constraints and their sources", "goals", "Goal"),
    ReportingItem("Assumptions about recovery", "budget", "assumption"),
    ReportingItem("Cumulative dose, EQD2, alpha/beta", "budget", "Organs, course by course"),
    ReportingItem("What is unknown or assumed", "unknown", "Not on record"),
    ReportingItem("Findings to be weighed", "findings", "serious"),
    ReportingItem("Response: pain and function", "outcome", "Response"),
    ReportingItem("Survival from each landmark", "outcome", "Survival"),
    ReportingItem("Acute and late toxicity", "outcome", "Toxicity"),
    ReportingItem("Plan for follow-up", "consult", "Follow up"),
    ReportingItem("Software, inputs, settings", "provenance", "rerad"),
    ReportingItem("Independent check, signatures", "sources", "Second check"),
)
"""Headings as read in summaries of the consensus [R2]; the wording is ours [M]."""


def checklist_section(titles: tuple[tuple[str, str], ...], citations: Citations) -> Section:
    """Return the list with the number of the section that has each item, and a box to tick.

    Parameters
    ----------
    titles : tuple of (str, str)
        Key and title of every section in order.
    citations : Citations
        Where the source is numbered.
    """
    numbers = {key: (n, title) for n, (key, title) in enumerate(titles, 1)}
    rows = tuple(
        (
            Cell(item.text),
            Cell(f"{numbers[item.section][0]}  {numbers[item.section][1]}")
            if item.section in numbers
            else Cell("not in this report", emphasis=Emphasis.ABSENT),
            Cell("☐"),
        )
        for item in ITEMS
    )
    table = Table(
        key="checklist",
        title="",
        header=(Cell("What is to be reported"), Cell("Section"), Cell("Checked")),
        rows=rows,
        align=(Align.LEFT, Align.LEFT, Align.CENTER),
        widths=(4.0, 3.0, 0.8),
        note="The boxes are for the person who signs; rerad ticks none.",
    )
    lead = Paragraph(
        "Items of the re-irradiation consensus and of a special physics consult, and where they "
        f"stand here. {citations.mark(CONSENSUS, 'R2')}"
    )
    return Section("checklist", "What consensus asks to be reported", (lead, table))
