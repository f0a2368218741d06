"""Clinical goals in one line, as clinicians write them, and back.

A line is

    [priority:] STRUCTURE METRIC[quantity] SIGN LIMIT [unit] [ab=x] [must] [-- where it comes from]

for example ``1: PTV_4000 D95% >= 95%``, ``Bowel V45Gy <= 195 cc`` or
``SacralPlex_R D0.1cc[EQD2] <= 70 ab=2.5 must``.

- A metric with ``[EQD2]`` is one of the cumulative EQD2 of all courses, without recovery (with it
  if the line says ``discounted``); without, or with ``[Gy]``, it is one of this plan's physical
  dose. EQD2 needs alpha/beta in Gy (``ab=``); there is no default.
- ``%`` is of the prescription for D metrics, of the volume for V metrics. Indices have no unit.
- ``must`` makes a limit that holds at every priority; ``1:`` or ``(priority 1)`` ranks a goal.
- Near-maximum, near-minimum and median dose may be written as words, as ICRU Report 83 has them
  (D2%, D98%, D50%; doi:10.1093/jicru/ndq002); mean too.
- A structure whose name holds a space stands in double quotes.
"""

import re
from dataclasses import dataclass
from difflib import get_close_matches

from rerad.core import DoseScope, Goal, RecoveryBasis
from rerad.errors import InputError, MissingDataError
from rerad.evaluation.metrics import UNDERSTOOD, Metric, MetricKind, number_text, parse_metric

_WORDS = {
    "near-max": "D2%",
    "near-min": "D98%",
    "median": "D50%",
    "mean": "Dmean",
}
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_NAME = r'(?:"[^"]+"|[^\s"]+)'
_LINE = re.compile(
    rf"(?:(?P<priority>\d+)\s*:\s*)?(?P<structure>{_NAME})\s+(?P<metric>[^<>≤≥⩽⩾=]+?)\s*"
    rf"(?P<sign><=|>=|[<>≤≥⩽⩾])\s*(?P<limit>{_NUMBER})(?P<rest>.*)"
)
_REST = re.compile(
    r"\s*(?:(?P<unit>Gy|%|cc)(?![\w%])"
    rf"|(?:ab|a/b|α/β)\s*=\s*(?P<alpha_beta>{_NUMBER})(?![\w.])"
    r"|\(priority\s+(?P<priority>\d+)\)"
    r"|(?P<must>must)(?!\w)|(?P<discounted>discounted)(?!\w)|(?P<other>\S+))"
)
_CUBIC = re.compile(r"(?:cm3|cm³|ccm|ml)$", re.IGNORECASE)
_BRACKET = re.compile(r"\s*\[([^\]]*)\]$")
_EXAMPLE = "1: PTV_4000 D95% >= 95%"
_SOURCE = " -- "
_TEMPLATES = ("D{n}%", "D{n}cc", "V{n}Gy", "V{n}%", "gEUD{n}", "R{n}%", "CI{n}%", "D{n}cm")
_NAMED = ("Dmean", "Dmax", "Dmin", "HI", "CI", *_WORDS)
_CLOSE_ENOUGH = 0.5


def parse_goal(text: str, *, alpha_beta_gy: float | None = None) -> Goal:
    """Read a goal.

    Parameters
    ----------
    text : str
        One line; see the module.
    alpha_beta_gy : float or None
        For a goal on EQD2 whose line does not state one, in Gy; None if the caller knows none.

    Returns
    -------
    Goal
        Its metric is written as rerad writes it (:attr:`Metric.name`); its citation is what stands
        behind ``--``, else "user".

    Raises
    ------
    InputError
        If the line, its metric or its unit is not understood; the message quotes the line, and
        for a metric lists what is understood and the nearest of it.
    MissingDataError
        If alpha/beta is needed and neither the line nor the caller gives it.

    Examples
    --------
    >>> goal = parse_goal("SacralPlex_R D0.1cc[EQD2] <= 70 ab=2.5 must")
    >>> goal.scope.name, goal.at_most, goal.unit, goal.is_hard
    ('CUMULATIVE', 70.0, 'Gy', True)
    """
    line, _, citation = text.partition(_SOURCE)
    found = _LINE.fullmatch(line.strip())
    if found is None:
        msg = f"goal {text!r}: expected structure, metric, sign and limit, such as {_EXAMPLE!r}"
        raise InputError(msg)
    tail = _Tail.of(text, found["rest"], found["priority"])
    metric, is_eqd2, bracket_unit = _read_metric(text, found["structure"], found["metric"])
    unit = _unit(text, metric, is_eqd2, (bracket_unit, tail.unit))
    limit = float(found["limit"])
    if metric.kind is MetricKind.VOLUME_AT_DOSE and unit == "%" and limit > 100:
        msg = f"goal {text!r}: expected at most 100 % of the volume, got {limit:g} %"
        raise InputError(msg)
    is_upper = found["sign"] in {"<", "<=", "≤", "⩽"}
    return Goal(
        structure=found["structure"].strip('"'),
        metric=metric.name,
        scope=DoseScope.CUMULATIVE if is_eqd2 else DoseScope.PLAN,
        unit=unit,
        at_most=limit if is_upper else None,
        at_least=None if is_upper else limit,
        alpha_beta_gy=_alpha_beta(text, is_eqd2, tail.alpha_beta_gy, alpha_beta_gy),
        recovery_basis=_basis(text, is_eqd2, tail.is_discounted),
        citation=citation.strip() or "user",
        priority=tail.priority,
        is_hard=tail.is_hard,
    )


def goal_structure(text: str) -> str:
    """Return the structure that a goal's line names, for whoever looks up its alpha/beta.

    Raises
    ------
    InputError
        If the line is not understood so far.
    """
    found = _LINE.fullmatch(text.partition(_SOURCE)[0].strip())
    if found is None:
        msg = f"goal {text!r}: expected structure, metric, sign and limit, such as {_EXAMPLE!r}"
        raise InputError(msg)
    return found["structure"].strip('"')


def format_goal(goal: Goal) -> str:
    """Return a goal as one line that :func:`parse_goal` reads back.

    Parameters
    ----------
    goal : Goal
        Any goal whose metric is understood.

    Returns
    -------
    str
        With everything that the line can say; trust and note are not in it.

    Raises
    ------
    InputError
        If the metric is not understood, or the structure's name holds a double quote.

    Examples
    --------
    >>> format_goal(parse_goal("PTV near-max < 107 % (priority 2)"))
    '2: PTV D2% <= 107%'
    """
    if '"' in goal.structure:
        msg = f"structure {goal.structure!r}: a name with a double quote cannot stand in a goal"
        raise InputError(msg)
    has_space = re.search(r"\s", goal.structure) is not None
    is_eqd2 = goal.scope is DoseScope.CUMULATIVE
    sign, limit = ("<=", goal.at_most) if goal.at_most is not None else (">=", goal.at_least)
    if limit is None:  # excluded by Goal itself
        raise AssertionError(goal.metric)
    value = number_text(limit)
    parts = [
        f"{goal.priority}:" if goal.priority is not None else "",
        f'"{goal.structure}"' if has_space else goal.structure,
        parse_metric(goal.metric).name + ("[EQD2]" if is_eqd2 else ""),
        sign,
        f"{value}%" if goal.unit == "%" else f"{value} {goal.unit}".strip(),
        f"ab={number_text(goal.alpha_beta_gy)}" if goal.alpha_beta_gy is not None else "",
        "discounted" if goal.recovery_basis is RecoveryBasis.DISCOUNTED else "",
        "must" if goal.is_hard else "",
        f"-- {goal.citation}" if goal.citation not in {"", "user"} else "",
    ]
    return " ".join(part for part in parts if part)


def suggest_metric(text: str) -> str | None:
    """Return the metric that is nearest to what was written, or None if nothing is near.

    Examples
    --------
    >>> suggest_metric("D95"), suggest_metric("V20"), suggest_metric("EUD8")
    ('D95%', 'V20Gy', 'gEUD8')
    """
    plain = re.sub(r"[\s\[\]()]", "", text)
    if _is_understood(in_cc := _CUBIC.sub("cc", plain)) and in_cc != plain:
        return in_cc
    if found := re.fullmatch(rf"([DV])({_NUMBER})", plain, re.IGNORECASE):
        letter, size = found[1].upper(), found[2]
        if letter == "V":
            return f"V{size}Gy"
        near_size = f"D{size}cc" if float(size) < 1 else f"D{size}%"
        return near_size if _is_understood(near_size) else None
    number = re.search(_NUMBER, plain)
    candidates = list(_NAMED)
    if number is not None:
        candidates += [template.format(n=number[0]) for template in _TEMPLATES]
    by_lower = {name.lower(): name for name in candidates}
    near = get_close_matches(plain.lower(), list(by_lower), n=1, cutoff=_CLOSE_ENOUGH)
    return by_lower[near[0]] if near and _is_understood(by_lower[near[0]]) else None


def _is_understood(name: str) -> bool:
    """Return whether a metric, or a word for one, is read."""
    try:
        parse_metric(_WORDS.get(name.lower(), name))
    except InputError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Tail:
    """What stands behind the limit."""

    unit: str | None = None
    alpha_beta_gy: float | None = None
    priority: int | None = None
    is_hard: bool = False
    is_discounted: bool = False

    @classmethod
    def of(cls, text: str, rest: str, first_priority: str | None) -> "_Tail":
        """Read it word by word; each at most once."""
        said: dict[str, str] = {} if first_priority is None else {"priority": first_priority}
        for word in _REST.finditer(rest.rstrip()):
            kind = str(word.lastgroup)
            if kind == "other" and word[0].strip().lower().startswith(("eqd2", "[eqd2")):
                msg = (
                    f"goal {text!r}: EQD2 stands behind the metric, not behind the limit, as in "
                    "D0.1cc[EQD2] <= 70 ab=2.5"
                )
                raise InputError(msg)
            if kind == "other" or (kind == "unit" and said.keys() - {"priority"}):
                msg = (
                    f"goal {text!r}: {word[0].strip()!r} is not understood; behind the limit may "
                    "stand Gy, % or cc, then ab=2.5, discounted, (priority 1), must"
                )
                raise InputError(msg)
            if kind in said:
                msg = f"goal {text!r}: {kind.replace('_', '/')} is given twice"
                raise InputError(msg)
            said[kind] = word[kind]
        return cls(
            unit=said.get("unit"),
            alpha_beta_gy=float(said["alpha_beta"]) if "alpha_beta" in said else None,
            priority=int(said["priority"]) if "priority" in said else None,
            is_hard="must" in said,
            is_discounted="discounted" in said,
        )


def _read_metric(text: str, structure: str, written: str) -> tuple[Metric, bool, str | None]:
    """Return the metric, whether it is one of EQD2, and the unit that its brackets state."""
    name, brackets = written.strip(), []
    while found := _BRACKET.search(name):
        brackets.append(found[1].strip())
        name = name[: found.start()]
    unknown = [item for item in brackets if item.lower() not in {"gy", "eqd2", "%", "cc"}]
    if unknown or len({item.lower() for item in brackets}) < len(brackets):
        msg = (
            f"goal {text!r}: expected [EQD2], [Gy], [cc] or [%] behind the metric, each once, got "
            f"{written.strip()!r}"
        )
        raise InputError(msg)
    try:
        metric = parse_metric(_WORDS.get(name.lower(), name))
    except InputError as error:
        if structure.endswith(":"):
            msg = (
                f"goal {text!r}: {structure!r} is no priority; expected a whole number of 1 or "
                f"more, such as {_EXAMPLE!r}"
            )
            raise InputError(msg) from error
        near = suggest_metric(name)
        hint = f"; did you mean {near}" if near is not None else ""
        msg = (
            f"goal {text!r}: metric {name!r} is not understood{hint}; understood are "
            f"{UNDERSTOOD}, and the words {', '.join(_WORDS)}"
        )
        raise InputError(msg) from error
    is_eqd2 = any(item.lower() == "eqd2" for item in brackets)
    units = [{"gy": "Gy"}.get(item.lower(), item) for item in brackets if item.lower() != "eqd2"]
    if len(units) > 1 or (is_eqd2 and units == ["Gy"]):
        msg = f"goal {text!r}: {written.strip()!r} says two quantities; keep one"
        raise InputError(msg)
    return metric, is_eqd2, units[0] if units else None


def _unit(text: str, metric: Metric, is_eqd2: bool, stated: tuple[str | None, str | None]) -> str:
    """Return the unit of the limit; stated are that of the brackets and that of the limit."""
    is_volume = metric.kind is MetricKind.VOLUME_AT_DOSE
    allowed = ["cc", "%"] if is_volume else ["Gy", "%"] if metric.unit == "Gy" else [""]
    if is_eqd2:
        if metric.is_of_shape or metric.unit == "" or (is_volume and metric.size_unit == "%"):
            msg = (
                f"goal {text!r}: {metric.name} refers to the prescription, which is a physical "
                "dose; leave out [EQD2]"
            )
            raise InputError(msg)
        allowed = allowed if is_volume else ["Gy"]
    bracket, behind = stated
    unit = behind if behind is not None else bracket
    if unit is None and len(allowed) == 1:
        unit = allowed[0]
    if unit is None or unit not in allowed or (bracket is not None and bracket != unit):
        expected = " or ".join(allowed) or "no unit"
        got = " and ".join(item for item in stated if item is not None) or "none"
        msg = f"goal {text!r}: expected {expected} for the limit on {metric.name}, got {got}"
        raise InputError(msg)
    return unit


def _alpha_beta(
    text: str, is_eqd2: bool, stated_gy: float | None, offered_gy: float | None
) -> float | None:
    """Return the alpha/beta of a goal: of the line, else of the caller; None for physical dose."""
    if not is_eqd2:
        if stated_gy is not None:
            msg = (
                f"goal {text!r}: alpha/beta has no meaning for this plan's physical dose; write "
                "the metric with [EQD2], or leave ab= out"
            )
            raise InputError(msg)
        return None
    value = stated_gy if stated_gy is not None else offered_gy
    if value is None:
        msg = (
            f"goal {text!r}: EQD2 needs the alpha/beta of the structure in Gy, and there is no "
            "default; add for example ab=2.5"
        )
        raise MissingDataError(msg)
    if not 0 < value < float("inf"):
        msg = f"goal {text!r}: expected an alpha/beta above 0 Gy, got {value:g}"
        raise InputError(msg)
    return value


def _basis(text: str, is_eqd2: bool, is_discounted: bool) -> RecoveryBasis | None:
    """Return which sum a goal on EQD2 is compared with."""
    if not is_eqd2 and is_discounted:
        msg = (
            f"goal {text!r}: this plan's physical dose has no recovery; write the metric with "
            "[EQD2], or leave discounted out"
        )
        raise InputError(msg)
    if not is_eqd2:
        return None
    return RecoveryBasis.DISCOUNTED if is_discounted else RecoveryBasis.RAW
