"""What a PET header says about the injected activity, in and out."""

import logging
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from pydicom.dataset import Dataset

from rerad.core import PetAcquisition
from rerad.dicom.headers import date_of, items_of, number_of, text_of
from rerad.errors import DicomError

_log = logging.getLogger(__name__)

DAY_S = 86400.0


def require_activity_units(dataset: Dataset, where: str) -> None:
    """Raise `DicomError` unless values are activity concentration in Bq/ml."""
    units = text_of(dataset, "Units")
    if units == "BQML":
        return
    remedy = {
        "CNTS": "counts have a scale of the manufacturer's own; reconstruct it in Bq/ml",
        "GML": "it is SUV already, of a kind that the header may not say; export it in Bq/ml",
    }.get(units, "export it in Bq/ml")
    msg = f"{where}: expected PET units BQML, got {units or 'none'}; {remedy}"
    raise DicomError(msg)


def pet_acquisition_of(datasets: Sequence[Dataset]) -> PetAcquisition:
    """Return the facts that the standardised uptake value needs.

    Parameters
    ----------
    datasets : sequence of Dataset
        All slices of the series.

    Returns
    -------
    PetAcquisition
        None where the header does not say.

    Notes
    -----
    With DecayCorrection START, values are corrected to the start of the series; if the series
    time is later than the earliest acquisition, the series was edited afterwards and the
    earliest acquisition counts. With ADMIN they are corrected to the injection.
    """
    first = datasets[0]
    injected = items_of(first, "RadiopharmaceuticalInformationSequence")
    drug = injected[0] if injected else Dataset()
    correction = text_of(first, "DecayCorrection")
    return PetAcquisition(
        patient_weight_kg=_positive(number_of(first, "PatientWeight")),
        injected_activity_bq=_positive(number_of(drug, "RadionuclideTotalDose")),
        half_life_s=_positive(number_of(drug, "RadionuclideHalfLife")),
        injection_to_reference_s=_injection_to_reference_s(datasets, drug, correction),
        decay_correction=correction,
        radiopharmaceutical=_drug_name(drug),
    )


def _positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def _drug_name(drug: Dataset) -> str:
    name = text_of(drug, "Radiopharmaceutical")
    codes = items_of(drug, "RadiopharmaceuticalCodeSequence")
    return name or (text_of(codes[0], "CodeMeaning") if codes else "")


def _injection_to_reference_s(
    datasets: Sequence[Dataset], drug: Dataset, correction: str
) -> float | None:
    if correction == "ADMIN":
        return 0.0
    if correction != "START":
        return None
    reference = _reference_moment(datasets)
    if reference is None:
        return None
    stated = moment_of_text(text_of(drug, "RadiopharmaceuticalStartDateTime"))
    if stated is not None:
        elapsed = (reference - stated).total_seconds()
        return elapsed if elapsed >= 0 else None
    clock = time_of_text(text_of(drug, "RadiopharmaceuticalStartTime"))
    if clock is None:
        return None
    elapsed = (reference - datetime.combine(reference.date(), clock)).total_seconds()
    # Only a clock time is given: an injection later than the scan was on the evening before.
    return elapsed if elapsed >= 0 else elapsed + DAY_S


def _reference_moment(datasets: Sequence[Dataset]) -> datetime | None:
    series = _moment(datasets[0], "Series")
    acquired = [_moment(dataset, "Acquisition") for dataset in datasets]
    known = [moment for moment in acquired if moment is not None]
    earliest = min(known) if known else None
    if series is None or earliest is None:
        return series or earliest
    return min(series, earliest)


def _moment(dataset: Dataset, what: str) -> datetime | None:
    day = date_of(dataset, f"{what}Date")
    clock = time_of_text(text_of(dataset, f"{what}Time"))
    return None if day is None or clock is None else datetime.combine(day, clock)


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


def injection_moment(series: datetime, pet: PetAcquisition) -> datetime | None:
    """Return when the activity was injected, from the start of the series."""
    if pet.injection_to_reference_s is None:
        return None
    if pet.decay_correction == "ADMIN":
        return None
    return series - timedelta(seconds=pet.injection_to_reference_s)
