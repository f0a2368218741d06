"""What a PET header says about the injected activity, in and out.

Statements that contradict each other are kept as conflicts, by the fact that they spoil; the
image can be looked at, but SUV is refused until the user says which is right.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from pydicom.dataset import Dataset

from rerad.core import HeaderConflict, PetAcquisition
from rerad.core.pet import ACTIVITY_RANGE_BQ, HEIGHT_RANGE_M, WEIGHT_RANGE_KG
from rerad.dicom.headers import items_of, number_of, raw_text_of, text_of
from rerad.dicom.pet_times import (
    SAME_CLOCK_S,
    Moment,
    clock_gap_s,
    injection_before,
    injection_candidates,
    mean_count_moments,
    reference_moment,
)
from rerad.dicom.pet_units import PetScale

F18_HALF_LIFE_S = 6586.2
"""Half life of fluorine-18 in s."""

F18_CODES = {"77004003", "C-111A1", "21613005"}
"""Codes of fluorine-18 (DICOM Context Group 4020, SNOMED CT and its older form)."""

HALF_LIFE_TOLERANCE = 0.02
"""Half lives of fluorine-18 in use differ by less than this share (6584 to 6588 s)."""

MOST_HALF_LIVES = 12.0
"""After this many half lives less than a 4000th is left: dates were changed, not waited for."""


@dataclass(frozen=True, slots=True)
class _Elapsed:
    """Times from injection, and what contradicts them."""

    to_reference_s: float | None = None
    to_slices_s: tuple[float, ...] = ()
    injected_at: datetime | None = None
    reference: Moment | None = None
    conflicts: tuple[HeaderConflict, ...] = ()


def pet_acquisition_of(
    datasets: Sequence[Dataset], scale: PetScale | None = None
) -> PetAcquisition:
    """Return the facts that the standardised uptake value needs.

    Parameters
    ----------
    datasets : sequence of Dataset
        All slices of the series, in order.
    scale : PetScale, optional
        What the values are, with the factor that the scanner states.

    Returns
    -------
    PetAcquisition
        None where the header does not say.

    Notes
    -----
    With DecayCorrection START, values are corrected to the start of the scan (see
    `rerad.dicom.pet_times`), with ADMIN to the injection, with NONE not at all.
    """
    first = datasets[0]
    injected = items_of(first, "RadiopharmaceuticalInformationSequence")
    drug = injected[0] if injected else Dataset()
    correction = text_of(first, "DecayCorrection")
    half_life_s = _positive(number_of(drug, "RadionuclideHalfLife"))
    elapsed = _elapsed(datasets, drug, correction, half_life_s)
    conflicts = [
        *_value_conflicts(first, drug, half_life_s),
        *_correction_conflicts(first, correction),
        *_slice_conflicts(datasets),
        *elapsed.conflicts,
    ]
    return PetAcquisition(
        patient_weight_kg=_positive(number_of(first, "PatientWeight")),
        injected_activity_bq=_positive(number_of(drug, "RadionuclideTotalDose")),
        half_life_s=half_life_s,
        injection_to_reference_s=elapsed.to_reference_s,
        decay_correction=correction,
        radiopharmaceutical=_drug_name(drug),
        patient_height_m=_positive(number_of(first, "PatientSize")),
        patient_sex=text_of(first, "PatientSex").upper(),
        injection_to_slice_s=elapsed.to_slices_s,
        injected_at=elapsed.injected_at,
        reference_at=elapsed.reference.at if elapsed.reference else None,
        reference_source=elapsed.reference.source if elapsed.reference else "",
        stated_suv_per_bqml=scale.stated_suv_per_bqml if scale else None,
        header_unit=text_of(first, "Units"),
        corrections=_words(first, "CorrectedImage"),
        conflicts=tuple(conflicts),
    )


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _words(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    value = dataset.get(keyword)
    if value is None or value == "":
        return ()
    return tuple(str(v) for v in ([value] if isinstance(value, str) else value))


def _drug_name(drug: Dataset) -> str:
    name = text_of(drug, "Radiopharmaceutical")
    codes = items_of(drug, "RadiopharmaceuticalCodeSequence")
    return name or (text_of(codes[0], "CodeMeaning") if codes else "")


def _elapsed(
    datasets: Sequence[Dataset], drug: Dataset, correction: str, half_life_s: float | None
) -> _Elapsed:
    """Return the times from injection that the decay correction asks for."""
    moment, clock = injection_candidates(drug, text_of(datasets[0], "TimezoneOffsetFromUTC"))
    if correction == "ADMIN":
        return _Elapsed(0.0, injected_at=moment)
    if correction not in {"START", "NONE"}:
        return _Elapsed(injected_at=moment)
    reference = reference_moment(datasets, half_life_s)
    if reference is None or (moment is None and clock is None):
        return _Elapsed(injected_at=moment, reference=reference)
    injected = moment
    conflicts = []
    if injected is None:
        assert clock is not None
        injected = injection_before(reference.at, clock)
        if clock == time(0):
            text = "the radiopharmaceutical's start time is 00:00:00, as where it was removed"
            conflicts.append(HeaderConflict("injection_to_reference_s", text))
    elif clock is not None and clock_gap_s(injected, clock) > SAME_CLOCK_S:
        text = (
            f"the start date and time of the radiopharmaceutical says {injected:%H:%M:%S}, its "
            f"start time {clock:%H:%M:%S}"
        )
        conflicts.append(HeaderConflict("injection_to_reference_s", text))
    elapsed_s = (reference.at - injected).total_seconds()
    conflicts += _time_conflicts(elapsed_s, half_life_s, injected, reference)
    if correction == "START":
        known = elapsed_s if elapsed_s >= 0 else None
        return _Elapsed(known, (), injected, reference, tuple(conflicts))
    counted = mean_count_moments(datasets, half_life_s)
    to_slices = [(m - injected).total_seconds() for m in counted if m is not None]
    whole = tuple(to_slices) if len(to_slices) == len(datasets) else ()
    return _Elapsed(None, whole, injected, reference, tuple(conflicts))


def _time_conflicts(
    elapsed_s: float, half_life_s: float | None, injected: datetime, reference: Moment
) -> list[HeaderConflict]:
    """An injection after the scan, or so long before that nothing would be left."""
    is_late = elapsed_s < 0
    is_early = half_life_s is not None and elapsed_s > MOST_HALF_LIVES * half_life_s
    if not (is_late or is_early):
        return []
    text = (
        f"the injection of {injected:%Y-%m-%d %H:%M:%S} is {abs(elapsed_s) / 3600:.1f} h "
        f"{'after' if is_late else 'before'} the reference time of "
        f"{reference.at:%Y-%m-%d %H:%M:%S} ({reference.source}); dates may have been shifted"
    )
    return [HeaderConflict("injection_to_reference_s", text)]


def _value_conflicts(
    first: Dataset, drug: Dataset, half_life_s: float | None
) -> list[HeaderConflict]:
    """Values that can only be in another unit, or of another nuclide, or are no numbers."""
    found = _unreadable(first, drug)
    activity = number_of(drug, "RadionuclideTotalDose")
    if activity and not ACTIVITY_RANGE_BQ[0] <= activity <= ACTIVITY_RANGE_BQ[1]:
        text = f"Radionuclide Total Dose is {activity:g}, which cannot be Bq; it may be MBq or mCi"
        found.append(HeaderConflict("injected_activity_bq", text))
    weight = number_of(first, "PatientWeight")
    if weight and not WEIGHT_RANGE_KG[0] <= weight <= WEIGHT_RANGE_KG[1]:
        text = f"Patient's Weight is {weight:g}, which cannot be kg"
        found.append(HeaderConflict("patient_weight_kg", text))
    height = number_of(first, "PatientSize")
    if height and not HEIGHT_RANGE_M[0] <= height <= HEIGHT_RANGE_M[1]:
        text = f"Patient's Size is {height:g}, which cannot be m; it may be cm"
        found.append(HeaderConflict("patient_height_m", text))
    is_off = half_life_s is not None and (
        abs(half_life_s / F18_HALF_LIFE_S - 1) > HALF_LIFE_TOLERANCE
    )
    if is_off and _is_fluorine(drug):
        text = (
            f"the nuclide is fluorine-18 ({F18_HALF_LIFE_S:g} s), the half life "
            f"{half_life_s:g} s; it may be in minutes or of another nuclide"
        )
        found.append(HeaderConflict("half_life_s", text))
    return found


def _unreadable(first: Dataset, drug: Dataset) -> list[HeaderConflict]:
    """What stands in the header and is no number, such as 70,5 with a comma."""
    asked = (
        ("patient_weight_kg", "PatientWeight", first),
        ("patient_height_m", "PatientSize", first),
        ("injected_activity_bq", "RadionuclideTotalDose", drug),
        ("half_life_s", "RadionuclideHalfLife", drug),
    )
    found = []
    for fact, keyword, holder in asked:
        text = raw_text_of(holder, keyword)
        if text and number_of(holder, keyword) is None:
            found.append(HeaderConflict(fact, f"{keyword} is {text!r}, which is not one number"))
    return found


def _is_fluorine(drug: Dataset) -> bool:
    codes = items_of(drug, "RadionuclideCodeSequence")
    return any(text_of(code, "CodeValue") in F18_CODES for code in codes)


def _correction_conflicts(first: Dataset, correction: str) -> list[HeaderConflict]:
    """Corrected Image and Decay Correction speak of the same thing."""
    made = _words(first, "CorrectedImage")
    if not made or correction not in {"START", "ADMIN", "NONE"}:
        return []
    if ("DECY" in made) == (correction != "NONE"):
        return []
    text = f"Corrected Image is {', '.join(made)}, but Decay Correction is {correction}"
    return [HeaderConflict("decay_correction", text)]


def _slice_conflicts(datasets: Sequence[Dataset]) -> list[HeaderConflict]:
    """What must be one for the whole series, and is not."""
    found = []
    drugs = [
        (items_of(d, "RadiopharmaceuticalInformationSequence") or [Dataset()])[0] for d in datasets
    ]
    asked: tuple[tuple[str, str, Sequence[Dataset]], ...] = (
        ("patient_weight_kg", "PatientWeight", datasets),
        ("injected_activity_bq", "RadionuclideTotalDose", drugs),
        ("half_life_s", "RadionuclideHalfLife", drugs),
        ("decay_correction", "DecayCorrection", datasets),
        ("injection_to_reference_s", "RadiopharmaceuticalStartTime", drugs),
    )
    for fact, keyword, holders in asked:
        said = sorted({text_of(holder, keyword) for holder in holders})
        if len(said) > 1:
            text = (
                f"slices of the series differ in {keyword}: {', '.join(t or 'none' for t in said)}"
            )
            found.append(HeaderConflict(fact, text))
    return found


def injection_moment(series: datetime, pet: PetAcquisition) -> datetime | None:
    """Return when the activity was injected, from the start of the series."""
    if pet.injection_to_reference_s is None:
        return None
    if pet.decay_correction == "ADMIN":
        return None
    return series - timedelta(seconds=pet.injection_to_reference_s)
