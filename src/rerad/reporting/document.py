"""The nouns of a report: sections, paragraphs, tables and pictures, without layout.

Everything is text and frozen, so one content serves HTML, PDF, the terminal and the tests. Each
block says what it is in ``kind``, which is what the templates choose by.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import ClassVar

from rerad.core import Severity


class Emphasis(StrEnum):
    """What a cell or a paragraph should look like; colour is never the only sign of it."""

    NONE = "none"
    STRONG = "strong"
    MUTED = "muted"
    TARGET = "target"
    MET = "met"
    EXCEEDED = "exceeded"
    UNKNOWN = "unknown"
    CHOSEN = "chosen"
    CAUTION = "caution"
    ABSENT = "absent"


class Align(StrEnum):
    """Where the text of a column stands."""

    LEFT = "left"
    RIGHT = "right"
    CENTER = "center"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Parameters
    ----------
    text : str
        What stands there.
    sub : str
        A second, smaller line; may be empty.
    emphasis : Emphasis
        How to show it; the verdicts are drawn as worded chips.
    """

    text: str
    sub: str = ""
    emphasis: Emphasis = Emphasis.NONE


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Parameters
    ----------
    key : str
        Stable name.
    title : str
        Heading; may be empty.
    header : tuple of Cell
        One cell for each column.
    rows : tuple of tuple of Cell
        As many cells as the header.
    align : tuple of Align
        One for each column.
    widths : tuple of float
        Relative widths of the columns; 0 for as wide as the content.
    note : str
        Small print below; may be empty.
    """

    kind: ClassVar[str] = "table"
    key: str
    title: str
    header: tuple[Cell, ...]
    rows: tuple[tuple[Cell, ...], ...]
    align: tuple[Align, ...]
    widths: tuple[float, ...]
    note: str = ""

    def __post_init__(self) -> None:
        counts = {len(self.header), len(self.align), len(self.widths)}
        counts.update(len(row) for row in self.rows)
        if len(counts) != 1:
            msg = f"table {self.key}: expected one cell for each column, got rows of {counts}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph; `emphasis` marks a lead (STRONG), small print (MUTED) or a caution."""

    kind: ClassVar[str] = "paragraph"
    text: str
    emphasis: Emphasis = Emphasis.NONE


@dataclass(frozen=True, slots=True)
class Bullets:
    """A list of statements."""

    kind: ClassVar[str] = "bullets"
    title: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """Pairs of a label and what is known about it."""

    kind: ClassVar[str] = "facts"
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """A place for a figure.

    Parameters
    ----------
    key : str
        Name of the figure and of its file, without suffix.
    caption : str
        What it shows and how to read it.
    alt : str
        For readers who cannot see it.
    width : float
        Share of the text width, 0 to 1.
    """

    kind: ClassVar[str] = "picture"
    key: str
    caption: str
    alt: str
    width: float = 1.0


@dataclass(frozen=True, slots=True)
class FindingItem:
    """One finding as shown: its severity is worded as well as coloured."""

    severity: Severity
    where: str
    text: str
    code: str


@dataclass(frozen=True, slots=True)
class FindingList:
    """Findings, the most serious first."""

    kind: ClassVar[str] = "findings"
    items: tuple[FindingItem, ...]


@dataclass(frozen=True, slots=True)
class SignatureLines:
    """Blank lines to sign on: rerad itself never signs."""

    kind: ClassVar[str] = "signatures"
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """A numbered source and how far it was read."""

    number: int
    citation: str
    trust: str


@dataclass(frozen=True, slots=True)
class ReferenceList:
    """The sources by number, and what each trust tag means."""

    kind: ClassVar[str] = "references"
    references: tuple[Reference, ...]
    trust_legend: tuple[tuple[str, str], ...]


Block = (
    Paragraph | Bullets | Facts | Table | Picture | FindingList | ReferenceList | SignatureLines
)


@dataclass(frozen=True, slots=True)
class Section:
    """One section, in the order in which a clinician reads."""

    key: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Everything a report says.

    Parameters
    ----------
    title, subtitle : str
        Of the document.
    banner : str
        Stands on every page.
    footer : str
        Software and version, for the foot of every page.
    sections : tuple of Section
        In reading order.
    """

    title: str
    subtitle: str
    banner: str
    footer: str
    sections: tuple[Section, ...]

    @property
    def tables(self) -> tuple[Table, ...]:
        """Every table in order."""
        return tuple(
            block
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Table)
        )

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Every picture in order."""
        return tuple(
            block
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Picture)
        )


def texts_of(value: object) -> Iterator[str]:
    """Return every text of a piece of content: a section, a block, a whole report."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from texts_of(item)
    elif is_dataclass(value):
        for field in fields(value):
            yield from texts_of(getattr(value, field.name))
