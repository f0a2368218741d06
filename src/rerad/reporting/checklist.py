"""What consensus asks to be reported of a re-irradiation, and where this report says it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rerad.outcome.overlap import CONSENSUS
from rerad.reporting.document import Align, Cell, Emphasis, Paragraph, Section, Table, texts_of
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


CHECKLIST = Section("checklist", "What consensus asks to be reported", ())
"""The place of the list among the sections."""


def checklist_section(sections: tuple[Section, ...], citations: Citations) -> Section:
    """Return the list with the number of the section that has each item, and a box to tick.

    Parameters
    ----------
    sections : tuple of Section
        Every section in order, this one with its place. An item counts as there if its section
        has its words.
    citations : Citations
        Where the source is numbered.
    """
    places = {section.key: (n, section) for n, section in enumerate(sections, 1)}
    rows = tuple((Cell(item.text), _place(item, places), Cell("☐")) for item in ITEMS)
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
    return replace(CHECKLIST, blocks=(lead, table))


def _place(item: ReportingItem, places: Mapping[str, tuple[int, Section]]) -> Cell:
    """Return where an item stands, or that it does not."""
    number, section = places.get(item.section, (0, None))
    if section is None or not any(item.words in text for text in texts_of(section)):
        return Cell("not in this report", emphasis=Emphasis.ABSENT)
    return Cell(f"{number}  {section.title}")
