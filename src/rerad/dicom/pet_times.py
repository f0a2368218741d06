"""The moment of injection, and the moment that a PET is decay-corrected to.

The reference of DecayCorrection START is the start of the scan. That is the series time, unless
the series was made or edited later; then, in this order: the scan time that GE keeps in a private
attribute, the time computed back from the frame reference time (which is the moment of the mean
count rate, counted from the start of the scan), the earliest acquisition.

References
----------
.. [1] QIBA, vendor-neutral pseudo-code for SUV calculation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import numpy as np
from pydicom.dataset import Dataset

from rerad.dicom.headers import date_of, number_of, text_of

DAY_S = 86400.0
"""Seconds of a day."""

MS_PER_S = 1000.0
"""DICOM writes frame times in milliseconds."""

SAME_CLOCK_S = 60.0
"""Two attributes that name one moment may differ this much: some scanners round to minutes."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment and where it was read."""

    at: datetime
    source: str


def reference_moment(datasets: Sequence[Dataset], half_life_s: float | None) -> Moment | None:
    """Return the start of the scan that START refers to.

    Parameters
    ----------
    datasets : sequence of Dataset
        All slices of the series.
    half_life_s : float or None
        Needed to compute back from a frame reference time.

    Returns
    -------
    Moment or None
        None if neither series nor acquisition has a date and a time.
    """
    series = moment_in(datasets[0], "Series")
    acquired = [m for m in (moment_in(d, "Acquisition") for d in datasets) if m is not None]
    earliest = min(acquired) if acquired else None
    if series is not None and (earliest is None or series <= earliest):
        return Moment(series, "series time")
    if earliest is None:
        return None
    why = "the series has no time" if series is None else "the series time is later: edited"
    private = _ge_scan_moment(datasets[0])
    if private is not None and private <= earliest:
        return Moment(private, f"GE private scan time, because {why}")
    computed = _computed_start(datasets, half_life_s)
    if computed is not None and computed <= earliest:
        return Moment(computed, f"acquisition less frame reference time, because {why}")
    return Moment(earliest, f"earliest acquisition of the series, because {why}")


def mean_count_moments(
    datasets: Sequence[Dataset], half_life_s: float | None
) -> list[datetime | None]:
    """Return the moment of the mean count rate of each slice: where it stands uncorrected."""
    moments = []
    for dataset in datasets:
        begin = moment_in(dataset, "Acquisition")
        delay_s = _mean_count_delay_s(dataset, half_life_s)
        moments.append(None if begin is None else begin + timedelta(seconds=delay_s))
    return moments


def injection_candidates(
    drug: Dataset, zone_text: str = ""
) -> tuple[datetime | None, time | None]:
    """Return the injection as a moment and as a clock time, each None if not given.

    Parameters
    ----------
    drug : Dataset
        Item of the Radiopharmaceutical Information Sequence.
    zone_text : str
        Timezone Offset From UTC of the image; a moment with an offset of its own is brought to it.
    """
    text = text_of(drug, "RadiopharmaceuticalStartDateTime")
    moment, own = moment_of_text(text), _offset_of(text[8:])
    zone = _offset_of(zone_text)
    if moment is not None and own is not None and zone is not None:
        moment += zone - own
    return moment, time_of_text(text_of(drug, "RadiopharmaceuticalStartTime"))


def _offset_of(text: str) -> timedelta | None:
    """Return the offset from UTC at the end of a DT value; None if there is none."""
    for sign, factor in (("+", 1), ("-", -1)):
        _, found, digits = text.rpartition(sign)
        if found and len(digits) == 4 and digits.isdigit():
            return factor * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return None


def clock_gap_s(moment: datetime, clock: time) -> float:
    """Return how far two clock times are apart, the short way round the clock, in s."""
    other = datetime.combine(moment.date(), clock)
    gap = abs((moment - other).total_seconds())
    return min(gap, DAY_S - gap)


def injection_before(reference: datetime, clock: time) -> datetime:
    """Return the last time before `reference` that the clock stood at `clock`.

    Only a clock time is given: an injection later than the scan was on the evening before.
    """
    same_day = datetime.combine(reference.date(), clock)
    return same_day if same_day <= reference else same_day - timedelta(seconds=DAY_S)


def moment_in(dataset: Dataset, what: str) -> datetime | None:
    """Return the moment of ``Series`` or ``Acquisition``; None if no date or no time is there.

    Where only the date is absent, it is that of the other, else of the study; an acquisition that
    then lies more than half a day before its series was after midnight.
    """
    stated = moment_of_text(text_of(dataset, f"{what}DateTime"))
    day = date_of(dataset, f"{what}Date")
    clock = time_of_text(text_of(dataset, f"{what}Time"))
    if clock is None:
        return stated
    if day is not None:
        return datetime.combine(day, clock)
    if stated is not None:
        return stated
    other = "Series" if what == "Acquisition" else "Acquisition"
    day = date_of(dataset, f"{other}Date") or date_of(dataset, "StudyDate")
    if day is None:
        return None
    moment = datetime.combine(day, clock)
    begun = time_of_text(text_of(dataset, "SeriesTime"))
    if what == "Acquisition" and begun is not None:
        late_s = (datetime.combine(day, begun) - moment).total_seconds()
        moment += timedelta(seconds=DAY_S if late_s > DAY_S / 2 else 0.0)
    return moment


def time_of_text(text: str) -> time | None:
    """Return a TM value as a time; None if empty or not a time."""
    digits = text.replace(":", "")
    if len(digits) < 4:
        return None
    try:
        seconds = float(digits[4:] or 0.0)
        whole = int(seconds)
        return time(int(digits[:2]), int(digits[2:4]), whole, int((seconds - whole) * 1e6))
    except ValueError:
        return None


def moment_of_text(text: str) -> datetime | None:
    """Return a DT value as a moment of local time; None if empty or not a moment."""
    local = text.split("+")[0].split("-")[0]
    clock = time_of_text(local[8:])
    try:
        day = date(int(local[:4]), int(local[4:6]), int(local[6:8]))
    except ValueError:
        return None
    return None if clock is None else datetime.combine(day, clock)


def _ge_scan_moment(dataset: Dataset) -> datetime | None:
    """Return GE's own scan time, (0009,xx0d) of GEMS_PETD_01, also where the creator is lost."""
    try:
        value = dataset.private_block(0x0009, "GEMS_PETD_01")[0x0D].value
    except KeyError:
        found = dataset.get((0x0009, 0x100D))
        if found is None:
            return None
        value = found.value
    text = value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value)
    return moment_of_text(text.strip())


def _mean_count_delay_s(dataset: Dataset, half_life_s: float | None) -> float:
    r"""Return how long after the start of a frame its mean count rate is.

    .. math:: t = \frac{1}{\lambda} \ln \frac{\lambda T}{1 - e^{-\lambda T}}
    """
    duration_s = (number_of(dataset, "ActualFrameDuration") or 0.0) / MS_PER_S
    if duration_s <= 0:
        return 0.0
    if not half_life_s:
        return duration_s / 2
    rate = np.log(2) / half_life_s
    return float(np.log(rate * duration_s / -np.expm1(-rate * duration_s)) / rate)


def _computed_start(datasets: Sequence[Dataset], half_life_s: float | None) -> datetime | None:
    """Return the start of the scan from the first frame; None if frames are not timed."""
    starts = []
    for dataset in datasets:
        begin = moment_in(dataset, "Acquisition")
        reference_ms = number_of(dataset, "FrameReferenceTime") or 0.0
        duration_ms = number_of(dataset, "ActualFrameDuration") or 0.0
        if begin is None or reference_ms <= 0 or duration_ms <= 0:
            continue
        shift_s = _mean_count_delay_s(dataset, half_life_s) - reference_ms / MS_PER_S
        starts.append(begin + timedelta(seconds=shift_s))
    return min(starts) if starts else None
