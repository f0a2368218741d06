"""Metrics of a dose by the names that clinicians write.

Understood: ``Dmean``, ``Dmax``, ``Dmin``, ``D0.1cc``, ``D95%``, ``V45Gy`` and ``V45Gy[cc]`` (cc),
``V45Gy[%]`` (percent of the volume), ``V95%`` (dose in percent of the prescription), ``gEUD8``,
and of a plan as a whole ``HI``, ``CI`` and ``CI95%`` (isodose in percent of the prescription),
``R50%`` and ``D2cm``. A trailing ``[Gy]`` of TG-263, as in ``D0.03cc[Gy]``, is allowed.

All but ``CI``, ``R50%`` and ``D2cm`` are read from a dose-volume histogram; those three need the
dose around the target too (:mod:`rerad.evaluation.plan_shape`).
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from rerad.errors import InputError, MissingDataError
from rerad.evaluation.dvh import Dvh
from rerad.evaluation.indices import homogeneity_index

UNDERSTOOD = (
    "Dmean, Dmax, Dmin, D0.1cc, D95%, V45Gy, V45Gy[cc], V45Gy[%], V95%[%], gEUD8, HI, CI, CI95%, "
    "R50% and D2cm"
)
"""What :func:`parse_metric` reads, by example."""


class MetricKind(StrEnum):
    """What a metric asks for."""

    MEAN = "mean dose"
    MAX = "highest dose"
    MIN = "lowest dose"
    DOSE_AT_VOLUME = "dose at a volume"
    VOLUME_AT_DOSE = "volume at a dose"
    GENERALIZED_MEAN = "generalised equivalent uniform dose"
    HOMOGENEITY = "homogeneity index"
    CONFORMITY = "conformity index"
    SPILLAGE = "isodose volume over target volume"
    BEYOND = "highest dose beyond a distance from the target"


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric, read from its name.

    Parameters
    ----------
    text : str
        As written.
    kind : MetricKind
        What it asks for.
    size : float
        Volume of D metrics, dose of V metrics, isodose of CI and R, exponent of gEUD, distance of
        ``D2cm``; 0 for the others.
    size_unit : str
        ``cc`` or ``%`` for D, ``Gy`` or ``%`` (of the prescription) for V, ``%`` for CI and R,
        ``cm`` for ``D2cm``, else empty.
    unit : str
        Of the value: ``Gy``, ``cc`` or ``%`` (of the volume); empty for the indices.
    is_unit_given : bool
        Whether the name itself states the unit of the value.
    """

    text: str
    kind: MetricKind
    size: float = 0.0
    size_unit: str = ""
    unit: str = "Gy"
    is_unit_given: bool = False

    @property
    def name(self) -> str:
        """The metric as rerad writes it: without spaces and without the unit of the value."""
        size = number_text(self.size)
        letters = _LETTERS[self.kind]
        if self.kind in {*_SIMPLE.values(), MetricKind.HOMOGENEITY}:
            return letters
        if self.kind is MetricKind.CONFORMITY and self.size == 100:
            return letters
        return f"{letters}{size}{self.size_unit}"

    @property
    def is_of_shape(self) -> bool:
        """Whether the dose around the target is needed, not only a histogram."""
        return self.kind in {MetricKind.CONFORMITY, MetricKind.SPILLAGE, MetricKind.BEYOND}


def number_text(value: float) -> str:
    """Return a number with every digit that it has and no more, never with an exponent."""
    text = format(Decimal(repr(float(value))), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


_NUMBER = r"(\d+(?:\.\d*)?|\.\d+)"
_LETTERS = {
    MetricKind.MEAN: "Dmean",
    MetricKind.MAX: "Dmax",
    MetricKind.MIN: "Dmin",
    MetricKind.DOSE_AT_VOLUME: "D",
    MetricKind.VOLUME_AT_DOSE: "V",
    MetricKind.GENERALIZED_MEAN: "gEUD",
    MetricKind.HOMOGENEITY: "HI",
    MetricKind.CONFORMITY: "CI",
    MetricKind.SPILLAGE: "R",
    MetricKind.BEYOND: "D",
}
_SIMPLE = {"dmean": MetricKind.MEAN, "dmax": MetricKind.MAX, "dmin": MetricKind.MIN}
_DOSE = re.compile(rf"D{_NUMBER}\s*(cc|%)(\[Gy\])?", re.IGNORECASE)
_VOLUME = re.compile(rf"V{_NUMBER}\s*(Gy|%)(?:\[(cc|%)\])?", re.IGNORECASE)
_GEUD = re.compile(rf"gEUD(-?){_NUMBER}(\[Gy\])?", re.IGNORECASE)
_CONFORMITY = re.compile(rf"CI(?:{_NUMBER}%)?", re.IGNORECASE)
_SPILLAGE = re.compile(rf"R{_NUMBER}%", re.IGNORECASE)
_BEYOND = re.compile(rf"D{_NUMBER}\s*cm(\[Gy\])?", re.IGNORECASE)


def parse_metric(text: str) -> Metric:
    """Read the name of a metric.

    Parameters
    ----------
    text : str
        For example ``D0.1cc``, ``D95%``, ``Dmean``, ``V20Gy[%]``, ``gEUD8``.

    Returns
    -------
    Metric
        What it asks for. ``V45Gy`` without a unit is in cc.

    Raises
    ------
    InputError
        If the name is not understood; the message lists what is.
    """
    name = text.strip()
    bare = name.removesuffix("[Gy]")
    if bare.lower() in _SIMPLE:
        return Metric(name, _SIMPLE[bare.lower()], is_unit_given=bare != name)
    if found := _DOSE.fullmatch(name):
        size, unit = float(found[1]), found[2].lower()
        if size > 0 and (unit == "cc" or size <= 100):
            given = found[3] is not None
            return Metric(name, MetricKind.DOSE_AT_VOLUME, size, unit, "Gy", given)
    if found := _VOLUME.fullmatch(name):
        unit = "Gy" if found[2].lower() == "gy" else "%"
        value_unit = (found[3] or "cc").lower()
        given = found[3] is not None
        return Metric(name, MetricKind.VOLUME_AT_DOSE, float(found[1]), unit, value_unit, given)
    if (found := _GEUD.fullmatch(name)) and float(found[2]) != 0:
        exponent = float(found[1] + found[2])
        return Metric(name, MetricKind.GENERALIZED_MEAN, exponent)
    shape = _parse_shape(name)
    if shape is not None:
        return shape
    msg = f"metric {text!r} is not understood; understood are {UNDERSTOOD}"
    raise InputError(msg)


def _parse_shape(name: str) -> Metric | None:
    """Read the name of a metric of the plan as a whole, or return None."""
    if name.upper() == "HI":
        return Metric(name, MetricKind.HOMOGENEITY, unit="", is_unit_given=True)
    for pattern, kind in (
        (_CONFORMITY, MetricKind.CONFORMITY),
        (_SPILLAGE, MetricKind.SPILLAGE),
    ):
        if found := pattern.fullmatch(name):
            size = float(found[1] or 100)
            return Metric(name, kind, size, "%", "", True) if size > 0 else None
    if (found := _BEYOND.fullmatch(name)) and float(found[1]) > 0:
        given = found[2] is not None
        return Metric(name, MetricKind.BEYOND, float(found[1]), "cm", "Gy", given)
    return None


def evaluate_metric(
    metric: Metric | str, dvh: Dvh, *, prescription_gy: float | None = None
) -> float:
    """Return the value of a metric.

    Parameters
    ----------
    metric : Metric or str
        Read, or to be read.
    dvh : Dvh
        Of the structure.
    prescription_gy : float or None
        Needed by metrics such as ``V95%``.

    Returns
    -------
    float
        In the metric's unit. NaN if the structure is smaller than the volume asked for, or if
        the unknown part of the structure could change the value.

    Raises
    ------
    InputError
        If the name is not understood, or the metric needs the dose around the target.
    MissingDataError
        If a prescription is needed and not given.
    """
    what = parse_metric(metric) if isinstance(metric, str) else metric
    low, high = metric_bounds(what, dvh, prescription_gy=prescription_gy)
    if low == high or not dvh.is_complete:
        return low if low == high else float("nan")
    match what.kind:
        case MetricKind.MEAN:
            return dvh.mean_gy
        case MetricKind.MAX:
            return dvh.max_gy
        case MetricKind.MIN:
            return dvh.min_gy
        case MetricKind.GENERALIZED_MEAN:
            return dvh.generalized_mean_gy(what.size)
        case MetricKind.HOMOGENEITY:
            return homogeneity_index(dvh)
        case MetricKind.DOSE_AT_VOLUME:
            percent = what.size if what.size_unit == "%" else None
            cc = what.size if what.size_unit == "cc" else None
            return dvh.dose_at_volume(percent=percent, cc=cc)
        case _:
            return low


def metric_bounds(
    metric: Metric | str, dvh: Dvh, *, prescription_gy: float | None = None
) -> tuple[float, float]:
    """Return the lowest and highest value a metric can have, whatever the unknown part received.

    Parameters
    ----------
    metric, dvh, prescription_gy
        As for :func:`evaluate_metric`.

    Returns
    -------
    low, high : float
        Equal if nothing is unknown. With an unknown part the lowest mean takes it as no dose; the
        highest mean, maximum and gEUD are infinite.
    """
    what = parse_metric(metric) if isinstance(metric, str) else metric
    if what.is_of_shape:
        msg = (
            f"metric {what.text} cannot be read from the histogram of {dvh.name}: it needs the "
            "dose around the target; use evaluate_shape"
        )
        raise InputError(msg)
    if what.kind is MetricKind.HOMOGENEITY:
        index = homogeneity_index(dvh)
        return index, index
    if what.kind is MetricKind.DOSE_AT_VOLUME:
        percent = what.size if what.size_unit == "%" else None
        cc = what.size if what.size_unit == "cc" else None
        return dvh.dose_at_volume_bounds(percent=percent, cc=cc)
    if what.kind is MetricKind.VOLUME_AT_DOSE:
        low, high = dvh.volume_at_dose_bounds(_threshold_gy(what, prescription_gy))
        scale = 100 / dvh.volume_cc if what.unit == "%" else 1.0
        return low * scale, high * scale
    known = {
        MetricKind.MEAN: lambda: dvh.mean_gy,
        MetricKind.MAX: lambda: dvh.max_gy,
        MetricKind.MIN: lambda: dvh.min_gy,
        MetricKind.GENERALIZED_MEAN: lambda: dvh.generalized_mean_gy(what.size),
    }[what.kind]()
    if dvh.unknown_fraction == 0:
        return known, known
    if what.kind is MetricKind.MIN:
        return 0.0, known
    if what.kind is MetricKind.MEAN:
        return known * (1 - dvh.unknown_fraction), float("inf")
    if what.kind is MetricKind.GENERALIZED_MEAN:
        share = 1 - dvh.unknown_fraction
        low = known * share ** (1 / what.size) if what.size > 0 else 0.0
        return low, float("inf")
    return known, float("inf")


def _threshold_gy(metric: Metric, prescription_gy: float | None) -> float:
    """Return the dose of a V metric in Gy."""
    if metric.size_unit == "Gy":
        return metric.size
    if prescription_gy is None:
        msg = f"metric {metric.text} is relative to the prescription; give the prescription in Gy"
        raise MissingDataError(msg)
    return metric.size / 100 * prescription_gy
