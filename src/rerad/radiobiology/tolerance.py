"""Cumulative dose limits as typed data, each bound to what it may be compared with.

A limit belongs to a metric, an alpha/beta, an interval and a recovery basis. The rule sets stay
side by side and are never blended: they disagree, and the reader must see that they do.
Limits are EQD2 in Gy; intervals in months.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from rerad.core import RecoveryBasis
from rerad.errors import InputError, MissingDataError
from rerad.radiobiology.cord_scores import SpineLevel
from rerad.radiobiology.organs import organ_of
from rerad.tables import load_table, source_of

_BASES = {"raw": RecoveryBasis.RAW, "discounted": RecoveryBasis.DISCOUNTED}


@dataclass(frozen=True, slots=True)
class Limit:
    """One published cumulative limit.

    Parameters
    ----------
    organ : str
        Organ of the tables, for example ``"sacral plexus"``.
    metric : str
        ``Dmax``, ``D0.1cc``, ``D0.5cc``; ``CV23Gy`` for a volume that must stay below a dose.
    limit_gy : float
        EQD2 in Gy; for ``CV``, the dose below which the spared volume must stay.
    alpha_beta_gy : float
        Alpha/beta in Gy that the limit is stated for.
    recovery_basis : RecoveryBasis
        Which kind of sum it may be compared with.
    interval_months_min, interval_months_max : float or None
        Interval between courses for which it is stated, lower bound included, upper bound not;
        None means unbounded.
    rule_set, version, citation, trust : str
        Where it comes from and how far that was read.
    consensus : str
        Whether the panel agreed; empty if the source does not say.
    condition : str
        What must hold for the limit to be used; empty if nothing.
    note : str
        Caveat of the whole rule set.
    spared_volume_cc : float or None
        For ``CV`` metrics: at least this volume below `limit_gy`.
    is_cord_level_only : bool
        Whether it is stated for the level of the spinal cord and says nothing below the conus.
    """

    organ: str
    metric: str
    limit_gy: float
    alpha_beta_gy: float
    recovery_basis: RecoveryBasis
    interval_months_min: float | None
    interval_months_max: float | None
    rule_set: str
    version: str
    citation: str
    trust: str
    consensus: str = ""
    condition: str = ""
    note: str = ""
    spared_volume_cc: float | None = None
    is_cord_level_only: bool = False

    def holds_at(self, interval_months: float) -> bool:
        """Return whether the limit is stated for this interval."""
        low, high = self.interval_months_min, self.interval_months_max
        return (low is None or interval_months >= low) and (high is None or interval_months < high)

    @property
    def text(self) -> str:
        """The limit in one line."""
        if self.spared_volume_cc is not None:
            rule = f"at least {self.spared_volume_cc:g} cc below {self.limit_gy:g} Gy"
        else:
            rule = f"{self.metric} <= {self.limit_gy:g} Gy"
        return (
            f"{self.organ}: {rule} EQD2 (alpha/beta {self.alpha_beta_gy:g} Gy, "
            f"{self.recovery_basis}); {self.citation}"
        )


@dataclass(frozen=True, slots=True)
class RuleSet:
    """A published list of limits."""

    name: str
    title: str
    version: str
    recovery_basis: RecoveryBasis
    citation: str
    trust: str
    note: str
    limits: tuple[Limit, ...]


def _number(row: Mapping[str, Any], key: str) -> float | None:
    """Return a number of a row, None if the row does not state it."""
    return float(row[key]) if key in row else None


def _limits(rules: Mapping[str, Any], citation: str) -> tuple[Limit, ...]:
    """Read the limits of one rule set, one for each organ named."""
    return tuple(
        Limit(
            organ=organ,
            metric=row["metric"],
            limit_gy=float(row["limit_gy"]),
            alpha_beta_gy=float(row["alpha_beta_gy"]),
            recovery_basis=_BASES[rules["recovery_basis"]],
            interval_months_min=_number(row, "interval_months_min"),
            interval_months_max=_number(row, "interval_months_max"),
            rule_set=rules["name"],
            version=rules["version"],
            citation=citation,
            trust=rules["trust"],
            consensus=row.get("consensus", ""),
            condition=row.get("condition", ""),
            note=rules["note"],
            spared_volume_cc=_number(row, "spared_volume_cc"),
            is_cord_level_only=bool(row.get("cord_level_only", False)),
        )
        for row in rules["limit"]
        for organ in row["organs"]
    )


@cache
def rule_sets() -> tuple[RuleSet, ...]:
    """Return every shipped rule set."""
    found = []
    for rules in load_table("tolerances")["rule_set"]:
        source = source_of(rules, f"tolerances {rules['name']}")
        found.append(
            RuleSet(
                name=rules["name"],
                title=rules["title"],
                version=rules["version"],
                recovery_basis=_BASES[rules["recovery_basis"]],
                citation=source.text,
                trust=source.trust,
                note=rules["note"],
                limits=_limits(rules, source.text),
            )
        )
    return tuple(found)


def rule_set(name: str) -> RuleSet:
    """Return the rule set of that name, or raise `MissingDataError`."""
    known = {rules.name: rules for rules in rule_sets()}
    if name not in known:
        msg = f"rule set {name!r} is not known; choose one of {', '.join(known)}"
        raise MissingDataError(msg)
    return known[name]


def limits_for(
    organ: str,
    rule_set_name: str,
    interval_months: float | None,
    *,
    level: SpineLevel | None = None,
) -> tuple[Limit, ...]:
    """Return the limits of a rule set for an organ.

    Parameters
    ----------
    organ : str
        Organ of the tables or TG-263 structure name.
    rule_set_name : str
        Name of a rule set.
    interval_months : float or None
        Interval between the courses; None (unknown) returns the limits of every interval, to be
        shown side by side.
    level : SpineLevel, optional
        Where along the spine. Limits for the level of the cord are returned only if it is stated
        and not below the conus.

    Returns
    -------
    tuple of Limit
        Empty where the rule set says nothing about the organ: that is no permission.

    Raises
    ------
    MissingDataError
        If the rule set is unknown.
    InputError
        If the interval is negative.
    """
    if interval_months is not None and not 0 <= interval_months < np.inf:
        msg = f"expected an interval of 0 months or more, got {interval_months}"
        raise InputError(msg)
    key = organ_of(organ)
    is_at_cord = level is not None and level is not SpineLevel.BELOW_CONUS
    return tuple(
        limit
        for limit in rule_set(rule_set_name).limits
        if limit.organ == key
        and (interval_months is None or limit.holds_at(interval_months))
        and (is_at_cord or not limit.is_cord_level_only)
    )


def check_basis(limit: Limit, recovery_fraction: float) -> None:
    """Refuse to compare a discounted sum with a limit that is stated for the raw sum.

    Parameters
    ----------
    limit : Limit
        The limit to be used.
    recovery_fraction : float
        Recovery applied to earlier courses in the sum, 0 to 1; 0 for a raw sum.

    Raises
    ------
    InputError
        If the sum carries recovery and the limit already contains it or assumes none, or if the
        fraction is out of range.
    """
    if not 0 <= recovery_fraction <= 1:
        msg = f"expected a recovery fraction of 0 to 1, got {recovery_fraction}"
        raise InputError(msg)
    if limit.recovery_basis is RecoveryBasis.RAW and recovery_fraction > 0:
        msg = (
            f"{limit.organ} {limit.metric} {limit.limit_gy:g} Gy ({limit.rule_set}) is stated for "
            f"a raw sum, got one with {100 * recovery_fraction:g} % recovery, which would count "
            "recovery twice; compare it with the sum without recovery"
        )
        raise InputError(msg)
