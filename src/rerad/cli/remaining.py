"""``rerad remaining``: what published limits leave for an organ after earlier courses."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer

from rerad.cli.arguments import JsonOption
from rerad.cli.console import print_json, reporting_errors
from rerad.core import RecoveryBasis, Severity
from rerad.errors import InputError, MissingDataError
from rerad.radiobiology import (
    Assumption,
    Limit,
    RemainingTolerance,
    SpineLevel,
    assumptions_for,
    assumptions_under,
    break_even_interval,
    eqd2,
    fraction_size_finding,
    hytec_factors,
    limits_for,
    nieder_score,
    organ_of,
    remaining_after,
    rule_sets,
)
from rerad.radiobiology.conversion import FORMULA_SOURCE
from rerad.radiobiology.conversion import require_valid_fraction as check_fraction
from rerad.tables import load_table

CORD_ORGANS = ("spinal cord", "thecal sac")
"""Organs that the Nieder score is for."""

MOST_SBRT_FRACTIONS = 5
"""HyTEC's factors are for spine SBRT, 1 to 5 fractions (doi:10.1016/j.ijrobp.2019.09.038)."""

FORMULA = (
    "EQD2 left = limit - (1 - recovery) * sum of EQD2;  "
    "D = n/2 (-a/b + sqrt((a/b)^2 + 4 (2 + a/b) EQD2 left / n))"
)


def remaining(
    organ: Annotated[str, typer.Option("--organ", help="TG-263 name, such as SacralPlex_R.")],
    prior: Annotated[
        list[str], typer.Option("--prior", help="Organ dose/fractions, 45/25; may be repeated.")
    ],
    fractions: Annotated[int, typer.Option("--fractions", min=1, help="Of the course to come.")],
    recovery: Annotated[
        str,
        typer.Option(
            "--recovery",
            help="Table for discounted sums: umich, none; for the cord also exponential, power.",
        ),
    ],
    rule_set: Annotated[
        list[str] | None, typer.Option("--rule-set", help="Only these; all without.")
    ] = None,
    interval_months: Annotated[
        float | None, typer.Option("--interval-months", min=0, help="Unknown without.")
    ] = None,
    level: Annotated[
        SpineLevel | None, typer.Option("--level", help="Along the spine; for cord limits.")
    ] = None,
    planned: Annotated[
        float | None, typer.Option("--planned", min=0, help="Organ dose planned now, Gy.")
    ] = None,
    own_limit: Annotated[
        list[str] | None,
        typer.Option(
            "--limit", help="Of your own: Gy/alpha-beta/raw or Gy/alpha-beta/discounted."
        ),
    ] = None,
    beyond_validity: Annotated[
        bool, typer.Option("--beyond-validity", help="Convert larger fractions all the same.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say what each rule set leaves; without an interval, a table over intervals."""
    with reporting_errors(as_json=as_json):
        courses = [parse_course(text) for text in prior]
        today = [] if planned is None else [(planned, fractions)]
        for dose_gy, n_fractions in (*courses, *today):
            check_fraction(dose_gy / n_fractions, is_beyond_allowed=beyond_validity)
        question = _Question(organ, recovery, interval_months, level, tuple(courses))
        assumptions, silent = _gathered(question, rule_set, own_limit)
        scores = _nieder(organ, [*courses, *today], interval_months, level)
        factors = _hytec(organ, courses, today, interval_months, level)
        if not assumptions and silent:
            msg = f"{organ}: nothing to compare with. {' '.join(silent)}"
            raise MissingDataError(msg)
        rows = remaining_after(organ, courses, assumptions, n_fractions=fractions)
        months = [_break_even(row, recovery, organ, courses, today) for row in rows]
        silent.extend(_large_fractions(rows, fractions))
    if as_json:
        print_json(
            {
                **_document(rows, months, planned),
                "nieder": scores,
                "hytec": factors,
                "notes": silent,
            }
        )
        return
    _print(rows, months, planned, fractions)
    _print_cord(scores, factors)
    for text in silent:
        typer.echo(f"note     {text}")


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of every rule set."""

    organ: str
    recovery: str
    interval_months: float | None
    level: SpineLevel | None
    courses: tuple[tuple[float, int], ...]


def _gathered(
    asked: _Question, names: list[str] | None, own_limits: list[str] | None
) -> tuple[list[Assumption], list[str]]:
    """Return every limit under every assumption, and what is not among them, with the reason."""
    assumptions: list[Assumption] = []
    silent: list[str] = []
    about = asked.recovery, asked.interval_months
    for name in names or [rules.name for rules in rule_sets()]:
        found = assumptions_for(
            asked.organ, name, *about, level=asked.level, courses=asked.courses
        )
        assumptions.extend(found)
        if not found:
            silent.extend(_why_silent(asked, name))
    for limit in (parse_limit(text, asked.organ) for text in own_limits or ()):
        assumptions.extend(
            assumptions_under(
                limit, asked.recovery, asked.organ, asked.interval_months, courses=asked.courses
            )
        )
    return assumptions, silent


def _print_cord(scores: list[dict[str, Any]], factors: list[dict[str, Any]]) -> None:
    """Print what the rules of the cord say."""
    for score in scores:
        typer.echo(
            f"Nieder   {score['interval']}: {score['cumulative_bed_gy']:.1f} Gy BED, "
            f"{score['points']:g} points, {score['risk']}: myelopathy in "
            f"{score['risk_percent']:g} % ({score['citation']})"
        )
    for factor in factors:
        value = "unknown" if factor["found"] is None else f"{factor['found']:.4g}"
        holds = {None: "cannot be said", True: "holds", False: "does not hold"}[factor["holds"]]
        typer.echo(
            f"HyTEC    {factor['name']}: {value}, asked for {factor['asked']:g}: {holds} "
            f"({factor['citation']})"
        )


def _why_silent(asked: _Question, rule_set: str) -> list[str]:
    """Say which limits of a rule set are not among the rows, and why."""
    organ, level, interval_months = asked.organ, asked.level, asked.interval_months
    stated = limits_for(organ, rule_set, None, level=level)
    if not stated and limits_for(organ, rule_set, None, level=SpineLevel.THORACIC):
        below = level is SpineLevel.BELOW_CONUS
        why = "there is no cord below the conus" if below else "state the level with --level"
        return [f"{rule_set}: its limit is for the level of the cord; {why}."]
    texts = []
    for limit in stated:
        what = f"{rule_set}: {limit.text.split(';')[0]}"
        if limit.spared_volume_cc is not None:
            why = (
                "judged on the volume of the whole organ, not on a dose; rerad budget and "
                "rerad run read it off the dose distribution"
            )
        elif interval_months is not None and not limit.holds_at(interval_months):
            why = f"not stated for {interval_months:g} months"
        else:
            why = (
                f"the recovery table {asked.recovery!r} does not state "
                f"{interval_months:g} months; choose another"
            )
        texts.append(f"{what}: {why}.")
    return texts


def _large_fractions(rows: tuple[RemainingTolerance, ...], n_fractions: int) -> list[str]:
    """Say where what is left would come in fractions beyond the model's range."""
    highest = max((row.remaining_physical_gy for row in rows), default=0.0)
    finding = fraction_size_finding(
        highest / n_fractions, f"the most that is left, {highest:.2f} Gy"
    )
    if finding is None or finding.severity is Severity.NOTE:
        return []
    return [f"{finding.where}: {finding.text}"]


def parse_course(text: str) -> tuple[float, int]:
    """Return dose in Gy and number of fractions of ``45/25``.

    Raises
    ------
    InputError
        If the text is not that.
    """
    dose, _, n_fractions = text.partition("/")
    try:
        course = float(dose), int(n_fractions)
    except ValueError:
        course = (0.0, 0)
    if not 0 < course[0] < 1000 or course[1] < 1:
        msg = f"expected dose in Gy/fractions such as 45/25, got {text!r}"
        raise InputError(msg)
    return course


def parse_limit(text: str, organ: str) -> Limit:
    """Return a limit of the user's own of ``60/2.5/raw``: Gy EQD2, alpha/beta, kind of sum.

    Raises
    ------
    InputError
        If the text is not that.
    """
    parts = text.split("/")
    bases = {"raw": RecoveryBasis.RAW, "discounted": RecoveryBasis.DISCOUNTED}
    try:
        limit_gy, alpha_beta_gy, basis = float(parts[0]), float(parts[1]), bases[parts[2]]
    except (ValueError, IndexError, KeyError):
        limit_gy, alpha_beta_gy, basis = 0.0, 0.0, RecoveryBasis.RAW
    if len(parts) != 3 or not 0 < limit_gy < 1000 or not 0 < alpha_beta_gy < 100:
        msg = f"expected a limit such as 60/2.5/raw or 60/2.5/discounted, got {text!r}"
        raise InputError(msg)
    return Limit(
        organ=organ,
        metric="dose",
        limit_gy=limit_gy,
        alpha_beta_gy=alpha_beta_gy,
        recovery_basis=basis,
        interval_months_min=None,
        interval_months_max=None,
        rule_set="own",
        version="given on the command line",
        citation="limit of your own, given on the command line",
        trust="M",
    )


def _nieder(
    organ: str,
    courses: list[tuple[float, int]],
    interval_months: float | None,
    level: SpineLevel | None,
) -> list[dict[str, Any]]:
    """Score the cord over all courses; both sides of six months where nobody knows the interval.

    Raises
    ------
    InputError
        Below the conus, where there is no cord.
    """
    if organ_of(organ) not in CORD_ORGANS or level is None or len(courses) < 2:
        return []
    intervals = {f"{interval_months} months": interval_months}
    if interval_months is None:
        intervals = {"below 6 months": 5.9, "6 months or more": 6.0}
    found: list[dict[str, Any]] = []
    for label, months in intervals.items():
        score = nieder_score(courses, interval_months=months, level=level)
        found.append(
            {
                "interval": label,
                "cumulative_bed_gy": score.cumulative_bed_gy,
                "points": score.points,
                "risk": score.risk,
                "risk_percent": score.risk_percent,
                "citation": score.citation,
            }
        )
    return found


def _hytec(
    organ: str,
    courses: list[tuple[float, int]],
    today: list[tuple[float, int]],
    interval_months: float | None,
    level: SpineLevel | None,
) -> list[dict[str, Any]]:
    """Check HyTEC's factors of lower risk, if spine SBRT is planned to the thecal sac.

    Raises
    ------
    InputError
        Below the conus, where there is no cord.
    """
    is_sbrt = bool(today) and today[0][0] > 0 and today[0][1] <= MOST_SBRT_FRACTIONS
    if organ_of(organ) != "thecal sac" or level is None or not is_sbrt:
        return []
    alpha_beta_gy = float(load_table("tolerances")["hytec_factors"]["alpha_beta_gy"])
    planned = eqd2(*today[0], alpha_beta_gy)
    found = hytec_factors(
        cumulative_eqd2_gy=planned + sum(eqd2(gy, n, alpha_beta_gy) for gy, n in courses),
        sbrt_eqd2_gy=planned,
        interval_months=interval_months,
        level=level,
    )
    return [asdict(factor) for factor in found]


def _break_even(
    row: RemainingTolerance,
    table: str,
    organ: str,
    courses: list[tuple[float, int]],
    today: list[tuple[float, int]],
) -> str:
    """Say from which interval the planned dose fits."""
    if not today:
        return ""
    limit = row.assumption.limit
    prior, plan = (
        sum(eqd2(gy, n, limit.alpha_beta_gy) for gy, n in part) for part in (courses, today)
    )
    if limit.recovery_basis is RecoveryBasis.RAW:
        return (
            "fits" if plan <= row.remaining_eqd2_gy and not row.excess_eqd2_gy else "does not fit"
        )
    months = break_even_interval(limit, table, organ, prior_eqd2_gy=prior, today_eqd2_gy=plan)
    return "never" if months is None else f"from {months:g} months"


def _print(
    rows: tuple[RemainingTolerance, ...],
    months: list[str],
    planned: float | None,
    n_fractions: int,
) -> None:
    """Print the table for a reader."""
    last = f"  {planned:g} Gy" if planned is not None else ""
    wide = max((len(_assumed(row)) for row in rows), default=0)
    typer.echo(
        f"{'rule set':11} {'limit':22} {'assumption':{wide}} {'recovery':>8} {'prior':>7} "
        f"{'left':>7} {'Gy in ' + str(n_fractions):>9}{last}"
    )
    for row, when in zip(rows, months, strict=True):
        item = row.assumption
        limit = f"{item.limit.metric} {item.limit.limit_gy:g} (a/b {item.limit.alpha_beta_gy:g})"
        over = f"  over by {row.excess_eqd2_gy:.2f}" if row.excess_eqd2_gy > 0 else ""
        typer.echo(
            f"{item.limit.rule_set:11} {limit:22} {_assumed(row):{wide}} "
            f"{100 * item.recovery_fraction:7.0f}% {row.prior_eqd2_gy:7.2f} "
            f"{row.remaining_eqd2_gy:7.2f} {row.remaining_physical_gy:9.2f}  {when}{over}"
        )
    typer.echo(f"formula  {FORMULA}; EQD2 in Gy")
    typer.echo(f"source   {FORMULA_SOURCE}")
    for citation in dict.fromkeys(
        text for row in rows for text in (row.assumption.limit.citation, row.assumption.citation)
    ):
        typer.echo(f"source   {citation}")
    typer.echo("Rule sets are not blended; where none speaks, that is no permission.")


def _assumed(row: RemainingTolerance) -> str:
    """Return the assumption of a row with the condition of its limit."""
    label, condition = row.assumption.label, row.assumption.limit.condition
    return label if not condition or condition == label else f"{label}; {condition}"


def _document(
    rows: tuple[RemainingTolerance, ...], months: list[str], planned: float | None
) -> dict[str, object]:
    """Return the rows as JSON."""
    return {
        "status": "done",
        "planned_gy": planned,
        "formula": FORMULA,
        "source": FORMULA_SOURCE,
        "rows": [
            {
                "rule_set": row.assumption.limit.rule_set,
                "metric": row.assumption.limit.metric,
                "limit_gy": row.assumption.limit.limit_gy,
                "alpha_beta_gy": row.assumption.limit.alpha_beta_gy,
                "recovery_basis": row.assumption.limit.recovery_basis,
                "interval_months": [
                    row.assumption.limit.interval_months_min,
                    row.assumption.limit.interval_months_max,
                ],
                "version": row.assumption.limit.version,
                "consensus": row.assumption.limit.consensus,
                "condition": row.assumption.limit.condition,
                "note": row.assumption.limit.note,
                "assumption": row.assumption.label,
                "recovery_fraction": row.assumption.recovery_fraction,
                "prior_eqd2_gy": row.prior_eqd2_gy,
                "remaining_eqd2_gy": row.remaining_eqd2_gy,
                "remaining_physical_gy": row.remaining_physical_gy,
                "excess_eqd2_gy": row.excess_eqd2_gy,
                "planned_fits": when,
                "citation": row.assumption.limit.citation,
                "recovery_citation": row.assumption.citation,
            }
            for row, when in zip(rows, months, strict=True)
        ],
    }
