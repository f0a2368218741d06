"""The consult part of the report: request, courses, type of re-irradiation, outcome. Pure."""

from collections.abc import Iterator, Mapping

from rerad.core import Dose
from rerad.core.clinical_history import Absent, ClinicalHistory, CourseRecord, Toxicity
from rerad.evaluation import dvh, evaluate_metric
from rerad.outcome import (
    SurvivalTime,
    course_outcome,
    dose_overlap,
    history_findings,
    reirradiation_type,
    survival_times,
)
from rerad.outcome.overlap import CONSENSUS
from rerad.outcome.pain import PAIN_CONSENSUS
from rerad.planning.result import CaseResult, PriorCourse, SummaryRow
from rerad.radiobiology import to_eqd2
from rerad.reporting.consult import BLANK, Consult
from rerad.reporting.document import (
    Align,
    Block,
    Bullets,
    Cell,
    Emphasis,
    Facts,
    Paragraph,
    Section,
    Table,
)
from rerad.reporting.wording import (
    UNKNOWN,
    Citations,
    bound_text,
    compact,
    joined,
    number_cell,
    verdict_cell,
)
from rerad.structures import EndSlab


def consult_section(result: CaseResult, consult: Consult, citations: Citations) -> Section:
    """Return who asked what, the courses as recorded, and the type of re-irradiation."""
    patient = consult.history.patient
    pairs = (
        ("Report made", consult.made.isoformat()),
        ("Age", _stated(patient.age_years)),
        *((label, words.strip() or BLANK) for label, words in consult.statements),
    )
    source = (Paragraph(consult.history_source, Emphasis.MUTED),) if consult.history_source else ()
    blocks: tuple[Block, ...] = (
        Paragraph(
            "What people state for this consult. A line to write on means that nobody has said "
            "it yet; unknown means that nobody could.",
            Emphasis.MUTED,
        ),
        Facts(pairs),
        *source,
        courses_table(
            consult.history, {course.name: str(course.grade) for course in result.history.courses}
        ),
        *_type_blocks(result, consult, citations),
    )
    return Section("consult", "Special physics consult", blocks)


def _stated(value: object) -> str:
    """Return a value of a record, or the word for its absence; what nobody asked is a line."""
    if isinstance(value, Absent):
        return BLANK if value is Absent.NOT_ASKED else value.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    return compact(value) if isinstance(value, float) else str(value) or BLANK


def courses_table(history: ClinicalHistory, grades: Mapping[str, str]) -> Table:
    """Return one row for each course as the record tells it.

    Parameters
    ----------
    history : ClinicalHistory
        Of one patient.
    grades : mapping of str to str
        How much of each earlier course is on record, by title; a course without is today's.
    """
    rows = tuple(
        (
            Cell(course.title, _place(course), Emphasis.STRONG),
            Cell(_dates(course), _interval(course, is_first=number == 0)),
            Cell(_stated(course.technique), f"{_word(course.modality)}; {_word(course.intent)}"),
            Cell(f"{_stated(course.n_fractions_planned)} planned", _levels(course)),
            Cell(f"{_stated(course.n_fractions_delivered)} given", _delivered(course)),
            Cell(grades.get(course.title, "today's course"), emphasis=Emphasis.MUTED),
        )
        for number, course in enumerate(history.of_kind(CourseRecord))
    )
    header = (
        Cell("Course", "site, institution"),
        Cell("Dates", "interval"),
        Cell("Technique", "modality; intent"),
        Cell("Planned", "fractions, doses"),
        Cell("Delivered", "fractions, dose"),
        Cell("On record"),
    )
    return Table(
        key="courses",
        title="Every course of radiotherapy",
        header=header,
        rows=rows,
        align=(Align.LEFT,) * 6,
        widths=(2.0, 1.6, 1.7, 1.9, 1.5, 1.3),
        note="unknown: asked, and nobody could say.",
    )


def _interval(course: CourseRecord, *, is_first: bool) -> str:
    """Return the interval before a course as the record tells it."""
    months = course.months_since_previous
    if is_first and isinstance(months, Absent):
        return "the first on record"
    if months is Absent.NOT_ASKED:
        months = Absent.UNKNOWN
    return f"months since the one before: {_stated(months)}"


def _word(value: object) -> str:
    return "not stated" if value is Absent.NOT_ASKED else _stated(value)


def _place(course: CourseRecord) -> str:
    return f"{_word(course.site)}; institution {_word(course.institution)}"


def _dates(course: CourseRecord) -> str:
    start, end = _word(course.start), _word(course.end)
    return f"dates {start}" if start == end else f"{start} to {end}"


def _levels(course: CourseRecord) -> str:
    """Return every volume with its prescribed dose."""
    return joined(
        (
            f"{volume.structure} {_word(volume.prescribed_gy)}"
            + ("" if isinstance(volume.prescribed_gy, Absent) else " Gy")
            for phase in course.phases
            for volume in phase.volumes
        ),
        "; ",
    )


def _delivered(course: CourseRecord) -> str:
    """Return the delivered dose that the record states, and why a course was stopped."""
    dose = course.delivered_dose_gy
    text = f"dose {_word(dose)}" + ("" if isinstance(dose, Absent) else " Gy")
    planned, given = course.n_fractions_planned, course.n_fractions_delivered
    is_short = isinstance(planned, int) and isinstance(given, int) and given < planned
    return f"{text}; stopped, reason {_word(course.stop_reason)}" if is_short else text


def _type_blocks(result: CaseResult, consult: Consult, citations: Citations) -> Iterator[Block]:
    """Return the ESTRO-EORTC type against each earlier course."""
    rows = tuple(_type_row(result, prior, consult) for prior in result.priors)
    without = [
        c.name
        for c in result.history.courses
        if c.name not in {p.course.name for p in result.priors}
    ]
    rows += tuple(
        (
            Cell(name, emphasis=Emphasis.STRONG),
            Cell(UNKNOWN, emphasis=Emphasis.ABSENT),
            Cell("no dose distribution is on record, so overlap cannot be computed"),
        )
        for name in without
    )
    if rows:
        yield Table(
            key="reirradiation_type",
            title="Type of re-irradiation (ESTRO-EORTC)",
            header=(Cell("Against"), Cell("Type"), Cell("Why")),
            rows=rows,
            align=(Align.LEFT, Align.LEFT, Align.LEFT),
            widths=(1.2, 2.0, 5.0),
            note=(
                "From the physical doses as delivered, on today's grid. The consensus names no "
                f"isodose; these are the user's. {citations.mark(CONSENSUS, 'R2')}"
            ),
        )


def _type_row(result: CaseResult, prior: PriorCourse, consult: Consult) -> tuple[Cell, ...]:
    """Return the type against one earlier course."""
    name = Cell(prior.course.name, emphasis=Emphasis.STRONG)
    first, second = consult.earlier_isodose_gy, consult.current_isodose_gy
    if first is None or second is None:
        why = "nobody has said which isodoses count as irradiated ([consult] of the case file)"
        return name, Cell(UNKNOWN, emphasis=Emphasis.ABSENT), Cell(why)
    state = result.delivered or result.planned
    overlap = dose_overlap(
        prior.physical_on_planning,
        state.physical,
        first_isodose_gy=first,
        second_isodose_gy=second,
    )
    kind, why = reirradiation_type(
        overlap,
        is_toxicity_a_concern=consult.is_toxicity_a_concern,
        is_same_organ=consult.is_same_organ,
    )
    return name, Cell(str(kind), emphasis=Emphasis.STRONG), Cell(f"{why} ({state.label})")


def organs_by_course_table(result: CaseResult, end_slab: EndSlab) -> Table | None:
    """Return each judged organ course by course: physical dose, EQD2, sum and limit.

    Parameters
    ----------
    result : CaseResult
        What a run found.
    end_slab : EndSlab
        How far contours reach beyond their ends, as the goals were judged.
    """
    rows = [
        row
        for row in result.summary
        if not row.is_target
        and row.alpha_beta_gy is not None
        and row.structure in result.structures
    ]
    today = {
        alpha_beta: to_eqd2(
            result.planned.physical,
            n_fractions_planned=result.planned.n_fractions,
            alpha_beta_gy=alpha_beta,
        )
        for alpha_beta in {row.alpha_beta_gy for row in rows if row.alpha_beta_gy is not None}
    }
    lines = tuple(line for row in rows for line in _organ_lines(result, row, today, end_slab))
    if not result.priors or not lines:
        return None
    header = (
        Cell("Organ", "metric"),
        Cell("Course"),
        Cell("Fractions"),
        Cell("Physical", "Gy"),
        Cell("EQD2", "Gy, no recovery"),
        Cell("Limit", "cumulative EQD2"),
        Cell("Verdict"),
    )
    return Table(
        key="organs_by_course",
        title="Organs, course by course",
        header=header,
        rows=lines,
        align=(Align.LEFT, Align.LEFT, *(Align.RIGHT,) * 4, Align.CENTER),
        widths=(1.8, 1.7, 0.9, 0.9, 1.2, 1.6, 1.2),
        note=(
            "Physical doses of different courses are never added. Maxima of two courses may lie "
            "at different places, so that the metric of the sum is not the sum of the metrics. "
            "How recovery is counted, if at all, stands with each limit in the budget. Parts of "
            "organs, inside and outside targets, stand in the result at a look."
        ),
    )


def _organ_lines(
    result: CaseResult, row: SummaryRow, today: Mapping[float, Dose], end_slab: EndSlab
) -> Iterator[tuple[Cell, ...]]:
    """Return a line for each course with a dose, and one for the sum."""
    drawn, blank = result.structures[row.structure], Cell("")

    def value(dose: Dose) -> Cell:
        return number_cell(evaluate_metric(row.metric, dvh(dose, drawn, end_slab=end_slab)))

    alpha_beta = row.alpha_beta_gy
    assert alpha_beta is not None
    organ = Cell(row.structure, f"{row.metric}, α/β {compact(alpha_beta)} Gy", Emphasis.STRONG)
    for prior in result.priors:
        yield (
            organ,
            Cell(prior.course.name),
            Cell(_stated_count(prior.course.n_fractions_delivered)),
            value(prior.physical_on_planning),
            value(prior.eqd2_on_planning[alpha_beta])
            if alpha_beta in prior.eqd2_on_planning
            else Cell(UNKNOWN, emphasis=Emphasis.ABSENT),
            blank,
            blank,
        )
        organ = blank
    yield (
        blank,
        Cell(f"{result.current.name}, planned"),
        Cell(str(result.planned.n_fractions)),
        number_cell(row.physical_gy),
        value(today[alpha_beta]),
        blank,
        blank,
    )
    goal = row.planned.goal
    yield (
        blank,
        Cell("all courses, planned", emphasis=Emphasis.STRONG),
        blank,
        Cell("–", emphasis=Emphasis.MUTED),
        number_cell(row.cumulative_eqd2_gy),
        Cell(bound_text(goal) if goal.alpha_beta_gy is not None else "–"),
        verdict_cell(row.planned),
    )


def _stated_count(count: int | None) -> str:
    return UNKNOWN if count is None else str(count)


def response_blocks(history: ClinicalHistory, citations: Citations) -> tuple[Block, ...]:
    """Return the response of pain and strength to each course, each with its reason."""
    found = []
    for course in history.of_kind(CourseRecord):
        outcome = course_outcome(history, course.key)
        if outcome.pain is not None:
            why = f"{outcome.pain.category}: {outcome.pain.reason}"
            mark = citations.mark(PAIN_CONSENSUS, "M")
            found.append(f"{course.title}, pain (international consensus {mark}): {why}.")
        if outcome.motor is not None:
            found.append(
                f"{course.title}, strength: {outcome.motor.direction}; {outcome.motor.reason}."
            )
    if not found:
        found.append("Pain or strength before and after a course is not on record: unknown.")
    return (Bullets("Response", tuple(found)),)


def outcome_blocks(history: ClinicalHistory) -> Iterator[Block]:
    """Return survival and toxicity, and what the record leaves open."""
    yield Bullets("Survival", tuple(_survival_lines(survival_times(history))))
    yield Bullets("Toxicity", tuple(_toxicities(history.of_kind(Toxicity))))
    open_points = tuple(f"{f.severity}: {f.text}" for f in history_findings(history))
    if open_points:
        yield Bullets("What the record leaves open", open_points)


def _survival_lines(times: tuple[SurvivalTime, ...]) -> Iterator[str]:
    """Return the time from each landmark; those that are unknown in one line."""
    if not times:
        yield "Neither a death nor a dated visit has a record of its own: unknown."
        return
    kind = "death" if times[0].is_death else "last visit alive"
    said = f" (the record says: {times[0].said})" if times[0].said else ""
    for time in times:
        if time.days is not None:
            yield f"From {time.landmark} to {kind}: {time.days} days{said}."
    unknown = [time.landmark for time in times if time.days is None]
    if unknown:
        yield f"From {'; '.join(unknown)} to {kind}: {UNKNOWN}{said}."


def _toxicities(records: tuple[Toxicity, ...]) -> Iterator[str]:
    """Return every adverse event with its grade, or that none is on record."""
    if not records:
        yield "None is on record, neither acute nor late: that is unknown, not none."
    for item in records:
        yield (
            f"{item.term}, grade {_word(item.grade)} ({_word(item.system)}), "
            f"attribution {_word(item.attribution)}."
        )
