"""What the report says about registration, beams and provenance: the technical record, pure."""

from collections.abc import Mapping

from rerad.core import Beam, Plan
from rerad.dicom.plan_writing import LABEL_PREFIX
from rerad.planning.result import CaseResult
from rerad.reporting.document import (
    Align,
    Block,
    Cell,
    Emphasis,
    Facts,
    Paragraph,
    Picture,
    Section,
    Table,
)
from rerad.reporting.wording import UNKNOWN, compact, number

_SHORT = 26
"""Longer settings do not fit into half a line."""

_UNIT_WORDS: dict[str, str] = {
    "mu": "MU",
    "gy": "Gy",
    "cm2": "cm²",
    "mm2": "mm²",
    "percent": "%",
    "deg": "°",
    "mlc": "MLC",
}
"""How units in names are written."""


def beams_section(result: CaseResult) -> Section:
    """Return the beams, what is hard about them, and how the optimiser came down."""
    plan = result.plan
    facts = tuple(
        (_words(name), compact(float(f"{value:.4g}"))) for name, value in result.complexity.items()
    )
    blocks: list[Block] = [
        Paragraph(
            f"{len(plan.beams)} beams, {number(plan.meterset_mu, 0)} MU a fraction, RTPLAN label "
            f"{written_label(plan)}. Angles by IEC 61217. Nothing here has been approved; "
            "recalculate in a commissioned system before any use."
        ),
        *((Facts(facts),) if facts else ()),
        _beam_table(plan.beams),
        Picture(
            "beams",
            "Fluence of each beam as its leaves deliver it, seen from the source (IEC 61217 "
            "beam-limiting-device axes at the isocentre, mm): monitor units of one fraction that "
            "each point is open, without transmission or scatter.",
            "Beam's-eye fluence maps",
        ),
    ]
    blocks.append(
        Picture(
            "convergence",
            "What was minimised at each evaluation of the last optimisation "
            f"({result.convergence.status}). A step up is a tightened penalty on a limit, not a "
            "worse plan.",
            "Objective against evaluation",
            width=0.55,
        )
    )
    return Section("beams", "Beams and complexity", tuple(blocks))


def written_label(plan: Plan) -> str:
    """Return the label that the plan has in DICOM, and in the system that reads it."""
    label = plan.label
    return label if label.startswith(LABEL_PREFIX) else f"{LABEL_PREFIX}{label}"


def _words(name: str) -> str:
    """A name with its unit as a label."""
    words = [_UNIT_WORDS.get(word, word) for word in name.split("_") if word]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def _beam_table(beams: tuple[Beam, ...]) -> Table:
    """One row for each beam."""
    rows = tuple(
        (
            Cell(str(beam.number)),
            Cell(beam.geometry.name, emphasis=Emphasis.STRONG),
            Cell(f"{beam.geometry.gantry_angle_deg:.1f}°"),
            Cell(f"{beam.geometry.collimator_angle_deg:.1f}°"),
            Cell(f"{beam.geometry.couch_angle_deg:.1f}°"),
            Cell(number(beam.meterset_mu, 1)),
            Cell(str(len(beam.control_points))),
            Cell(_jaws_text(beam)),
        )
        for beam in beams
    )
    titles = ("No.", "Beam", "Gantry", "Collimator", "Couch", "MU", "Control points", "Field, cm")
    return Table(
        key="beams",
        title="",
        header=tuple(Cell(title) for title in titles),
        rows=rows,
        align=(Align.RIGHT, Align.LEFT, *(Align.RIGHT,) * 5, Align.RIGHT),
        widths=(0.5, 1.4, 0.9, 1.0, 0.8, 0.8, 1.2, 1.2),
    )


def _jaws_text(beam: Beam) -> str:
    """Largest opening of the jaws in cm, x by y."""
    x = max(point.jaw_x_mm[1] - point.jaw_x_mm[0] for point in beam.control_points)
    y = max(point.jaw_y_mm[1] - point.jaw_y_mm[0] for point in beam.control_points)
    return f"{x / 10:.1f} × {y / 10:.1f}"


def provenance_section(result: CaseResult) -> Section:
    """Return what is needed to make every number again."""
    record = result.provenance
    versions = (("rerad", record.rerad_version), *sorted(record.library_versions.items()))
    blocks: list[Block] = [Facts(versions)]
    if record.settings:
        pairs = _setting_pairs(record.settings)
        short = tuple(pair for pair in pairs if len(pair[1]) <= _SHORT)
        blocks.append(_two_columns("settings", "Settings", short))
        if len(short) < len(pairs):
            blocks.append(Facts(tuple(pair for pair in pairs if len(pair[1]) > _SHORT)))
    if record.inputs:
        blocks.append(
            Table(
                key="inputs",
                title="Inputs",
                header=(Cell("What", "UID"), Cell("SHA-256")),
                rows=tuple(
                    (
                        Cell(item.what, item.uid),
                        Cell(_hash_text(item.sha256)),
                    )
                    for item in record.inputs
                ),
                align=(Align.LEFT, Align.LEFT),
                widths=(4.0, 1.2),
                note="First 16 digits; the full hashes are in run.json.",
            )
        )
    if record.steps:
        total = sum(step.seconds for step in record.steps)
        times = [(step.step, f"{step.seconds:.1f} s") for step in record.steps]
        times.append(("Together", f"{total:.1f} s"))
        blocks.append(_two_columns("steps", "Step times", tuple(times)))
    return Section("provenance", "Provenance", tuple(blocks))


def _hash_text(digits: str) -> str:
    """Return as much of a hash as a line holds; the whole stands in run.json."""
    return f"{digits[:16]}…" if len(digits) > 16 else digits


def _setting_pairs(
    settings: Mapping[str, str | int | float | bool | None],
) -> tuple[tuple[str, str], ...]:
    """Settings in the order given, as text."""
    return tuple(
        (name, _hash_text(str(value)) if name.endswith("_hash") else _setting_text(value))
        for name, value in settings.items()
    )


def _setting_text(value: str | int | float | bool | None) -> str:
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    return compact(value) if isinstance(value, float) else str(value)


def _two_columns(key: str, title: str, pairs: tuple[tuple[str, str], ...]) -> Table:
    """Return pairs as a table of two pairs a row, read down the left half first."""
    half = (len(pairs) + 1) // 2
    left, right = pairs[:half], (*pairs[half:], ("", ""))[:half]
    rows = tuple(
        (Cell(a, emphasis=Emphasis.MUTED), Cell(b), Cell(c, emphasis=Emphasis.MUTED), Cell(d))
        for (a, b), (c, d) in zip(left, right, strict=True)
    )
    blank = Cell("")
    return Table(
        key=key,
        title=title,
        header=(blank,) * 4,
        rows=rows,
        align=(Align.LEFT, Align.RIGHT, Align.LEFT, Align.RIGHT),
        widths=(2.2, 1.3, 2.2, 1.3),
    )
