"""Right against left, and a root against normal ones, by rules that nobody has validated.

No flag is a diagnosis. Each says which rule it applies, the value, the interval of 95 % and the
threshold, and that nobody has validated the rule for nerves. A root that could not be measured is
not normal: it is said to be unmeasured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerad.errors import InputError
from rerad.nerves.caliber import CaliberProfile
from rerad.nerves.uptake import ReferenceUptake, UptakeProfile
from rerad.tables import load_table

TWO_SIDED_95 = 1.96
"""Standard deviations to either side that hold 95 % of a normal distribution."""

LEAST_SHARE = 0.5
"""Of a window's places this share must have been measured."""


class Verdict(StrEnum):
    """What a rule says about a value with an interval."""

    MET = "met"
    MET_WITHIN_UNCERTAINTY = "met, but the interval reaches below"
    NOT_MET = "not met"
    UNMEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Measured:
    """A value with its standard deviation and the place on the path; NaN if not measured."""

    value: float
    sd: float
    arc_mm: float

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the interval of 95 %."""
        return self.value - TWO_SIDED_95 * self.sd, self.value + TWO_SIDED_95 * self.sd

    @property
    def is_known(self) -> bool:
        """Whether it was measured."""
        return bool(np.isfinite(self.value))


UNMEASURED = Measured(np.nan, np.nan, np.nan)
"""Nothing could be measured."""


@dataclass(frozen=True, slots=True)
class NormalRoot:
    """Normal diameter of a root, and where it was read."""

    root: str
    mean_mm: float
    sd_mm: float
    n_subjects: int
    citation: str


@dataclass(frozen=True, slots=True)
class RuleOutcome:
    """One rule applied to one root.

    Parameters
    ----------
    rule : str
        Key of the table of rules.
    measured : Measured
        The value that the rule looks at.
    threshold : float
        Above this it is met.
    unit : str
        Of both.
    verdict : Verdict
        Outcome.
    text : str
        One sentence for the reader.
    citation : str
        Where the threshold comes from.
    is_validated : bool
        False for every rule that ships.
    """

    rule: str
    measured: Measured
    threshold: float
    unit: str
    verdict: Verdict
    text: str
    citation: str
    is_validated: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class NerveMeasurement:
    """What was measured of one root on one side; uptake None without PET."""

    name: str
    caliber: CaliberProfile
    uptake: UptakeProfile | None = None

    @property
    def root(self) -> str:
        """Name without the side."""
        return self.name.rsplit("_", 1)[0]


@dataclass(frozen=True, eq=False, slots=True)
class NerveComparison:
    """One root on one side, compared.

    Parameters
    ----------
    name : str
        With side, such as ``L5_R``.
    diameter : Measured
        Largest mean over the window.
    is_diameter_contoured : bool
        Whether it is that of the user's contours, at least in part.
    other_diameter : Measured
        The other side's at the same place, both counted from the spine.
    z : float
        Standard deviations above the normal mean; NaN without a normal value.
    normal : NormalRoot or None
        What it was compared with.
    uptake : Measured
        Largest recovered mean over the window.
    other_uptake : Measured
        The other side's at the same place.
    observed_uptake : float
        What the image shows there, before recovery.
    is_uptake_claimed : bool
        Whether the recovered value is claimed.
    ratios : tuple of (str, float)
        Recovered uptake over each reference tissue's mean.
    outcomes : tuple of RuleOutcome
        Every rule.
    """

    name: str
    diameter: Measured
    is_diameter_contoured: bool
    other_diameter: Measured
    z: float
    normal: NormalRoot | None
    uptake: Measured
    other_uptake: Measured
    observed_uptake: float
    is_uptake_claimed: bool
    ratios: tuple[tuple[str, float], ...]
    outcomes: tuple[RuleOutcome, ...]

    @property
    def is_thick(self) -> bool:
        """Whether diameter and asymmetry rule are both met beyond their intervals."""
        return self._is_met("diameter_above_normal") and self._is_met("asymmetry")

    @property
    def is_avid(self) -> bool:
        """Whether an uptake rule is met beyond its interval."""
        return any(self._is_met(o.rule) for o in self.outcomes if o.rule.startswith("uptake"))

    @property
    def is_flagged(self) -> bool:
        """Whether the root is pointed out for review: thick and avid."""
        return self.is_thick and self.is_avid

    def _is_met(self, rule: str) -> bool:
        return any(o.rule == rule and o.verdict is Verdict.MET for o in self.outcomes)


def normal_root(root: str) -> NormalRoot | None:
    """Return the normal diameter of a root from the table, of its first series; None if none."""
    for row in load_table("nerve_diameters")["root"]:
        if row["root"] == root:
            return NormalRoot(
                root, row["mean_mm"], row["sd_mm"], row["n_subjects"], row["citation"]
            )
    return None


def compare_sides(
    measured: NerveMeasurement,
    other: NerveMeasurement | None,
    references: tuple[ReferenceUptake, ...] = (),
) -> NerveComparison:
    """Compare a root with the other side, with normal roots and with reference tissues.

    Parameters
    ----------
    measured : NerveMeasurement
        The root to judge.
    other : NerveMeasurement or None
        The same root of the other side; None if it was not measured.
    references : tuple of ReferenceUptake
        Named ``muscle``, ``blood pool``, ``liver``.

    Returns
    -------
    NerveComparison

    Raises
    ------
    InputError
        If `other` is not the same root of the other side.
    """
    if other is not None and (other.root != measured.root or other.name == measured.name):
        msg = f"expected {measured.root} of the other side of {measured.name}, got {other.name}"
        raise InputError(msg)
    rules = load_table("nerve_rules")
    diameter = largest(_diameters(measured), rules["diameter_above_normal"]["window_mm"])
    excess, opposite = _excess(measured, other, rules["asymmetry"]["window_mm"])
    there = UNMEASURED
    if other is not None and diameter.is_known:
        window_mm = rules["diameter_above_normal"]["window_mm"]
        there = mean_at(_diameters(other), diameter.arc_mm, window_mm)
    normal = normal_root(measured.root)
    uptake = other_uptake = UNMEASURED
    observed, is_claimed = np.nan, False
    if measured.uptake is not None:
        window_mm = rules["uptake_above_blood_pool"]["window_mm"]
        uptake = largest(_uptakes(measured.uptake), window_mm)
        observed, is_claimed = _at(measured.uptake, uptake.arc_mm)
        if other is not None and other.uptake is not None:
            other_uptake = mean_at(_uptakes(other.uptake), uptake.arc_mm, window_mm)
    outcomes = [_diameter_rule(diameter, normal, rules["diameter_above_normal"])]
    outcomes.append(_asymmetry_rule(excess, opposite, rules["asymmetry"]))
    outcomes += [_uptake_rule(uptake, r, rules) for r in references if r.name in _RULE_OF]
    z = np.nan if normal is None else (diameter.value - normal.mean_mm) / normal.sd_mm
    return NerveComparison(
        name=measured.name,
        diameter=diameter,
        is_diameter_contoured=_is_contoured(measured.caliber, diameter.arc_mm),
        other_diameter=there,
        z=float(z),
        normal=normal,
        uptake=uptake,
        other_uptake=other_uptake,
        observed_uptake=observed,
        is_uptake_claimed=is_claimed,
        ratios=tuple((r.name, uptake.value / r.mean) for r in references),
        outcomes=tuple(outcomes),
    )


_RULE_OF = {"blood pool": "uptake_above_blood_pool", "liver": "uptake_above_liver"}

Series = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]
"""Arc length, values, standard deviations, and the length over which one value was averaged."""


def _diameters(measured: NerveMeasurement) -> Series:
    caliber = measured.caliber
    return caliber.arc_mm, caliber.diameter_mm, caliber.sd_mm, 6.0


def _uptakes(uptake: UptakeProfile) -> Series:
    return uptake.arc_mm, uptake.recovered, uptake.sd, 12.0


def mean_at(series: Series, arc_mm: float, window_mm: float) -> Measured:
    """Return the weighted mean over a window around a place.

    Values whose voxels overlap are not independent: the mean counts as many independent ones as
    the window has lengths of averaging, at least one.
    """
    arc, values, sd, length_mm = series
    inside = np.abs(arc - arc_mm) <= 0.5 * window_mm + 1e-6
    known = inside & np.isfinite(values) & np.isfinite(sd)
    if not inside.any() or known.sum() < max(1.0, LEAST_SHARE * inside.sum()):
        return UNMEASURED
    weight = 1 / np.maximum(sd[known], 1e-3) ** 2
    mean = float(np.sum(weight * values[known]) / weight.sum())
    n_independent = max(1.0, window_mm / length_mm)
    error = float(np.sqrt(np.average(sd[known] ** 2, weights=weight) / n_independent))
    return Measured(mean, error, float(arc_mm))


def largest(series: Series, window_mm: float) -> Measured:
    """Return the largest mean over a window that lies wholly on the path."""
    arc = series[0]
    if not len(arc):
        return UNMEASURED
    ends = (arc[0] + 0.5 * window_mm, arc[-1] - 0.5 * window_mm)
    places = arc[(arc >= ends[0] - 1e-6) & (arc <= ends[1] + 1e-6)]
    means = [mean_at(series, float(s), window_mm) for s in places]
    known = [m for m in means if m.is_known]
    return max(known, key=lambda m: m.value) if known else UNMEASURED


def _excess(
    measured: NerveMeasurement, other: NerveMeasurement | None, window_mm: float
) -> tuple[Measured, Measured]:
    """Return how much thicker a side is where it is most, and the other side there."""
    if other is None:
        return UNMEASURED, UNMEASURED
    mine, theirs = _diameters(measured), _diameters(other)
    best, opposite = UNMEASURED, UNMEASURED
    for arc in mine[0]:
        a, b = mean_at(mine, float(arc), window_mm), mean_at(theirs, float(arc), window_mm)
        if not (a.is_known and b.is_known):
            continue
        difference = Measured(a.value - b.value, float(np.hypot(a.sd, b.sd)), float(arc))
        if not best.is_known or difference.value > best.value:
            best, opposite = difference, b
    return best, opposite


def _is_contoured(caliber: CaliberProfile, arc_mm: float) -> bool:
    near = np.abs(caliber.arc_mm - arc_mm) <= 5.0
    return bool(np.any(caliber.is_contoured[near]))


def _at(uptake: UptakeProfile, arc_mm: float) -> tuple[float, bool]:
    if not np.isfinite(arc_mm):
        return np.nan, False
    n = int(np.argmin(np.abs(uptake.arc_mm - arc_mm)))
    return float(uptake.observed[n]), bool(uptake.is_claimed[n])


def _judge(measured: Measured, threshold: float) -> Verdict:
    if not measured.is_known or not np.isfinite(threshold):
        return Verdict.UNMEASURED
    if measured.interval[0] > threshold:
        return Verdict.MET
    is_above = measured.value > threshold
    return Verdict.MET_WITHIN_UNCERTAINTY if is_above else Verdict.NOT_MET


def _outcome(
    rule: str, measured: Measured, limit: tuple[float, str], words: tuple[str, str]
) -> RuleOutcome:
    """Return an outcome with its sentence: value, interval, threshold, not validated."""
    threshold, unit = limit
    what, citation = words
    verdict = _judge(measured, threshold)
    if verdict is Verdict.UNMEASURED:
        text = f"{what}: not measured; the rule is not validated"
    else:
        low, high = measured.interval
        text = (
            f"{what}: {measured.value:.1f} {unit} (95 % interval {low:.1f} to {high:.1f}), "
            f"threshold {threshold:.1f} {unit}: {verdict}; the rule is not validated"
        )
    return RuleOutcome(rule, measured, threshold, unit, verdict, text, citation)


def _diameter_rule(
    diameter: Measured, normal: NormalRoot | None, row: Mapping[str, Any]
) -> RuleOutcome:
    threshold = np.nan if normal is None else normal.mean_mm + row["n_sd"] * normal.sd_mm
    what = "largest diameter against mean + 2 SD of normal roots"
    return _outcome("diameter_above_normal", diameter, (threshold, "mm"), (what, row["citation"]))


def _asymmetry_rule(excess: Measured, opposite: Measured, row: Mapping[str, Any]) -> RuleOutcome:
    """Whichever of the two thresholds is lower counts: 1.5 mm or 30 % of the other side."""
    threshold = min(row["difference_mm"], row["share"] * opposite.value)
    what = "thicker than the other side at the same distance from the spine"
    return _outcome("asymmetry", excess, (threshold, "mm"), (what, row["citation"]))


def _uptake_rule(
    uptake: Measured, reference: ReferenceUptake, rules: Mapping[str, Any]
) -> RuleOutcome:
    rule = _RULE_OF[reference.name]
    row = rules[rule]
    threshold = row["mean_factor"] * reference.mean + row["sd_factor"] * reference.sd
    what = (
        f"recovered SUV against {row['mean_factor']:g} x mean + {row['sd_factor']:g} SD of "
        f"{reference.name}"
    )
    return _outcome(rule, uptake, (threshold, "SUV"), (what, row["citation"]))
