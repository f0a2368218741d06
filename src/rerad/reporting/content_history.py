"""What the report says about the patient and what went before: pure, result in, sections out."""

from collections import Counter

from rerad.core import Course, EventKind, HistoryEvent, Prescription, Severity
from rerad.evaluation import Verdict
from rerad.planning.result import CaseResult, PriorCourse
from rerad.radiobiology import eqd2
from rerad.reporting.closing import closing_table
from rerad.reporting.document import (
    Align,
    Block,
    Bullets,
    Cell,
    Emphasis,
    Facts,
    Paragraph,
    Picture,
    Section,
    Table,
)
from rerad.reporting.wording import (
    UNKNOWN,
    Citations,
    compact,
    course_fractions,
    gray,
    joined,
    number,
    text_or_unknown,
    typeset,
)


def who_section(result: CaseResult, citations: Citations) -> Section:
    """Return who the patient is, why there is a plan, and the answer at a look."""
    patient = result.history.patient
    current = result.current
    birth = patient.birth_date.isoformat() if patient.birth_date else UNKNOWN
    pairs = (
        ("Patient", joined((patient.name, patient.patient_id), " · ") or UNKNOWN),
        ("Sex, birth date", f"{text_or_unknown(patient.sex)}, {birth}"),
        ("Today's course", joined((current.name, current.site), " · ")),
        ("Prescription", _prescription_text(current)),
        ("Fractions given", course_fractions(current)),
        ("Technique", text_or_unknown(current.technique)),
        ("Earlier courses", _earlier_text(result)),
        ("Machine", _machine_text(result)),
    )
    return Section(
        "who",
        "Who and why",
        (
            Paragraph(text_or_unknown(result.history.summary), Emphasis.STRONG),
            Facts(pairs),
            Paragraph(_answer_text(result), Emphasis.NONE),
            closing_table(result, citations),
            *_first_to_weigh(result),
        ),
    )


def _first_to_weigh(result: CaseResult) -> tuple[Bullets, ...]:
    """The serious findings about the whole case; all of them follow in their section."""
    serious = [f for f in result.findings if f.severity is Severity.SERIOUS]
    items = [typeset(finding.text) for finding in serious if not finding.where]
    n_others = len(serious) - len(items)
    if n_others:
        words = "finding" if n_others == 1 else "findings"
        items.append(f"{n_others} more serious {words} about single structures or courses.")
    return (Bullets("To be weighed first", tuple(items)),) if items else ()


def _prescription_text(course: Course) -> str:
    """Each level with the fractions planned."""
    count = UNKNOWN if course.n_fractions_planned is None else str(course.n_fractions_planned)
    levels = joined((f"{p.structure} {compact(p.dose_gy)} Gy" for p in course.prescriptions), "; ")
    return f"{levels or UNKNOWN} in {count} fractions"


def _earlier_text(result: CaseResult) -> str:
    """How many earlier courses there are, and how many of them with a dose distribution."""
    n_all, n_dose = len(result.history.courses), len(result.priors)
    if not n_all:
        return "none on record"
    return f"{n_all} on record, {n_dose} with a dose distribution"


def _machine_text(result: CaseResult) -> str:
    """Machine, energy, and whether measured data stand behind it."""
    machine = result.machine
    state = "commissioned by the user" if machine.is_commissioned else "generic, not commissioned"
    return f"{machine.name}, {compact(machine.energy_mv)} MV ({state})"


def _answer_text(result: CaseResult) -> str:
    """The judgement of the plan in one or two sentences."""
    verdicts = Counter(goal.verdict for goal in result.planned.goals)
    n_goals = len(result.planned.goals)
    n_accepted, n_unknown = verdicts[Verdict.ACCEPTED], verdicts[Verdict.UNKNOWN]
    if not n_goals:
        return "No goal was given, so nothing is judged."
    parts = [
        f"As planned, {verdicts[Verdict.MET]} of {n_goals} goals are met and "
        f"{verdicts[Verdict.EXCEEDED] + n_accepted} are not"
        + (f" ({n_accepted} of them knowingly)" if n_accepted else "")
        + (f"; {n_unknown} cannot be judged, because a dose is unknown." if n_unknown else ".")
    ]
    return " ".join(parts)


def timeline_section(result: CaseResult) -> Section:
    """Return the story in one picture."""
    caption = (
        "The story in the order of the record, from top to bottom; distances between rows are "
        "not to scale. Bars: fractions delivered (filled) of fractions planned (outline). "
        "Pain on a 0–10 scale with its stated range; muscle grade verbatim; oral morphine "
        "equivalent per day. What is not drawn was not stated."
    )
    alt = joined((event.title for event in _in_order(result.history.events)), "; ")
    return Section("timeline", "Timeline", (Picture("timeline", caption, f"Timeline: {alt}"),))


def _in_order(events: tuple[HistoryEvent, ...]) -> list[HistoryEvent]:
    return sorted(events, key=lambda event: event.order)


def before_section(result: CaseResult) -> Section:
    """Return what each course gave, planned and delivered, with EQD2 at every alpha/beta used."""
    courses = (*result.history.courses, result.current)
    if len(courses) == 1:
        none = Paragraph("No earlier course of radiotherapy is on record.")
        return Section("before", "What was given before", (none,))
    table = levels_table(courses, alpha_betas(result), result.current)
    return Section(
        "before",
        "What was given before",
        (table, *(Facts(_course_facts(course)) for course in result.history.courses)),
    )


def alpha_betas(result: CaseResult) -> tuple[float, ...]:
    """Return every alpha/beta in Gy that the result uses, ascending."""
    values = set(result.planned.cumulative)
    values.update(target.alpha_beta_gy for target in result.targets)
    for prior in result.priors:
        values.update(prior.eqd2_on_planning)
    return tuple(sorted(values))


def levels_table(
    courses: tuple[Course, ...], alpha_betas_gy: tuple[float, ...], current: Course
) -> Table:
    """Return one row for each course and prescription level."""
    header = (
        Cell("Course"),
        Cell("Level"),
        Cell("Planned", "Gy in fractions"),
        Cell("Per fraction", "Gy"),
        Cell("Delivered", "Gy in fractions"),
        *(Cell("EQD2", f"α/β {ab:g} Gy") for ab in alpha_betas_gy),
    )
    rows = []
    for course in courses:
        name = f"{course.name} (today)" if course is current else course.name
        levels: tuple[Prescription | None, ...] = course.prescriptions or (None,)
        for index, level in enumerate(levels):
            label = Cell(name if index == 0 else "", emphasis=Emphasis.STRONG)
            rows.append((label, *_level_cells(course, level, alpha_betas_gy)))
    return Table(
        key="levels",
        title="Dose by course and prescription level",
        header=header,
        rows=tuple(rows),
        align=(Align.LEFT, Align.LEFT, *(Align.RIGHT,) * (3 + len(alpha_betas_gy))),
        widths=(2.0, 1.5, 1.4, 1.2, 1.4, *(1.0,) * len(alpha_betas_gy)),
        note=(
            "EQD2 = D (d + α/β) / (2 + α/β) of the nominal dose delivered at each level; α/β in "
            "Gy. It describes the prescription, not an organ: the tables below use the dose in "
            "each voxel."
        ),
    )


def _level_cells(
    course: Course, level: Prescription | None, alpha_betas_gy: tuple[float, ...]
) -> tuple[Cell, ...]:
    """Cells of one prescription level, without the course's name."""
    planned, given = course.n_fractions_planned, course.n_fractions_delivered
    if level is None:
        blank = Cell(UNKNOWN, emphasis=Emphasis.ABSENT)
        return (blank,) * (4 + len(alpha_betas_gy))
    per_fraction = None if not planned else level.dose_gy / planned
    delivered = delivered_dose_gy(course, level)
    cells = [
        Cell(level.structure),
        Cell(f"{compact(level.dose_gy)} in {UNKNOWN if planned is None else planned}"),
        Cell(number(per_fraction, 2)),
        Cell(
            f"{number(delivered, 1)} in {UNKNOWN if given is None else given}"
            if delivered is not None
            else UNKNOWN,
            _recorded_text(course, level),
            Emphasis.STRONG if course.is_stopped_early else Emphasis.NONE,
        ),
    ]
    for ab in alpha_betas_gy:
        if delivered is None or not given:
            cells.append(Cell(UNKNOWN, emphasis=Emphasis.ABSENT))
        else:
            equivalent_gy = eqd2(delivered, given, ab)
            cells.append(Cell(number(equivalent_gy, 2)))
    return tuple(cells)


def delivered_dose_gy(course: Course, level: Prescription) -> float | None:
    """Return what a level got: as recorded where there is one level, else by its fractions."""
    planned, given = course.n_fractions_planned, course.n_fractions_delivered
    is_one_dose = len({item.dose_gy for item in course.prescriptions}) == 1
    if course.delivered_dose_gy is not None and is_one_dose:
        return course.delivered_dose_gy
    if not planned or given is None:
        return None
    return level.dose_gy * given / planned


def _recorded_text(course: Course, level: Prescription) -> str:
    """What the record itself states as delivered, at the highest level, where it differs."""
    recorded = course.delivered_dose_gy
    highest = max(item.dose_gy for item in course.prescriptions)
    if recorded is None or level.dose_gy < highest:
        return ""
    counted = delivered_dose_gy(course, level)
    is_same = counted is not None and abs(counted - recorded) < 0.05
    return "" if is_same else f"record states {compact(recorded)}"


def _course_facts(course: Course) -> tuple[tuple[str, str], ...]:
    """What the record says of one course besides its doses."""
    start = course.start.isoformat() if course.start else UNKNOWN
    end = course.end.isoformat() if course.end else UNKNOWN
    pairs = [
        (course.name, text_or_unknown(course.site)),
        ("Dates", UNKNOWN if start == end == UNKNOWN else f"{start} to {end}"),
        ("Technique", text_or_unknown(course.technique)),
        ("On record", str(course.grade)),
    ]
    if course.delivered_dose_gy is not None:
        pairs.append(("Recorded as delivered", gray(course.delivered_dose_gy)))
    if course.is_stopped_early:
        pairs.append(("Stopped early", course.stop_reason or "reason unknown"))
    if course.note:
        pairs.append(("Note", course.note))
    return tuple(pairs)


def unknown_section(result: CaseResult) -> Section:
    """Return what nobody could say and what was assumed instead."""
    blocks: list[Bullets | Paragraph] = []
    if result.history.unknowns:
        blocks.append(Bullets("Not on record", result.history.unknowns))
    if result.assumptions:
        blocks.append(Bullets("Assumed instead", result.assumptions))
    if not blocks:
        blocks.append(Paragraph("Nothing was marked as unknown and nothing was assumed."))
    outside = [p for p in result.priors if p.physical_on_planning.n_unknown]
    if outside:
        blocks.append(Paragraph(_outside_text(outside), Emphasis.MUTED))
    return Section("unknown", "What is unknown", tuple(blocks))


def _outside_text(priors: list[PriorCourse]) -> str:
    """How much of today's dose grid an earlier dose does not reach."""
    parts = []
    for prior in priors:
        dose = prior.physical_on_planning
        percent = 100 * dose.n_unknown / dose.grid.n_voxels
        parts.append(f"{prior.course.name}: {number(percent, 0)} %")
    return (
        "Part of today's dose grid that lies outside the earlier dose grid, where the earlier "
        f"dose is unknown and treated as unknown, not as zero: {'; '.join(parts)}."
    )


def outcome_section(result: CaseResult, response: tuple[Block, ...] = ()) -> Section:
    """Return what happened after the course, in the words of the record.

    Parameters
    ----------
    result : CaseResult
        What a run found.
    response : tuple of Block
        The judged response, with its reasons; empty where there are no records to judge, and then
        the section says what was stated before and after.
    """
    after = [e for e in _in_order(result.history.events) if e.order > result.current_order]
    if not after:
        nothing = Paragraph("Nothing is on record after this course.")
        return Section("outcome", "Outcome", (nothing, *response))
    rows = tuple(
        (
            Cell(_when(event)),
            Cell(event.title, event.text, Emphasis.STRONG),
            _stated(_pain_text(event)),
            _stated(event.muscle_grade),
            _opioid_cell(event),
        )
        for event in after
    )
    header = tuple(
        Cell(t) for t in ("When", "What", "Pain 0–10", "Muscle grade", "Oral morphine equivalent")
    )
    table = Table(
        key="outcome",
        title="",
        header=header,
        rows=rows,
        align=(Align.LEFT, Align.LEFT, Align.CENTER, Align.CENTER, Align.RIGHT),
        widths=(1.6, 4.2, 0.9, 0.9, 1.2),
        note="A dash: not stated on that occasion.",
    )
    text = "" if response else _change(result)
    lead = (Paragraph(text),) if text else response
    return Section("outcome", "Outcome", (*lead, table))


def _stated(text: str) -> Cell:
    return Cell(text) if text else Cell("–", emphasis=Emphasis.MUTED)


def _opioid_cell(event: HistoryEvent) -> Cell:
    """Return the oral morphine equivalent: of an opioid that was told without one, unknown."""
    if event.oral_morphine_mg_day is not None:
        return Cell(f"{compact(event.oral_morphine_mg_day)} mg/day")
    if event.kind is EventKind.DRUG:
        return Cell(UNKNOWN, emphasis=Emphasis.ABSENT)
    return _stated("")


def _when(event: HistoryEvent) -> str:
    return event.date.isoformat() if event.date else text_or_unknown(event.when)


def _pain_text(event: HistoryEvent) -> str:
    """The stated range of a pain score."""
    if event.pain_score is None:
        return ""
    low, high = event.pain_score
    return compact(low) if low == high else f"{compact(low)}–{compact(high)}"


def _change(result: CaseResult) -> str:
    """What was stated last before and first after the course, without a response class."""
    events = _in_order(result.history.events)
    before = [e for e in reversed(events) if e.order < result.current_order]
    after = [e for e in events if e.order > result.current_order]
    parts = []
    first, last = _stated_pain(before), _stated_pain(after)
    if first and last:
        parts.append(f"Pain before this course {first}, after it {last} of 10.")
    grades = [
        next((e.muscle_grade for e in side if e.muscle_grade), "") for side in (before, after)
    ]
    if all(grades):
        parts.append(f"Muscle grade before {grades[0]}, after {grades[1]}.")
    is_dose_known = all(
        any(e.oral_morphine_mg_day is not None for e in side) for side in (before, after)
    )
    if first and last and not is_dose_known:
        parts.append(
            "No response class is stated: consensus criteria for pain response also weigh the "
            "analgesic dose, and it is not known both before and after."
        )
    return " ".join(parts)


def _stated_pain(events: list[HistoryEvent]) -> str:
    """The first pain score in a row of events, or nothing."""
    return next((_pain_text(e) for e in events if e.pain_score is not None), "")
