"""What one stored unit of a PET slice is: Bq/ml, SUV, or counts without a scale."""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from rerad.core import ImageUnit
from rerad.dicom.headers import text_of
from rerad.errors import DicomError

PHILIPS_CREATOR = "Philips PET Private Group"
"""Private creator of the two factors below."""

PET_UNITS = ("BQML", "CNTS", "PROPCPS", "GML", "CM2ML")
"""Units (0054,1001) that are read."""

SUV_UNIT = {
    "": ImageUnit.SUVBW,
    "BW": ImageUnit.SUVBW,
    "LBMJANMA": ImageUnit.SUVLBM_JANMAHASATIAN,
    "LBMJAMES128": ImageUnit.SUVLBM_JAMES,
}
"""Unit of GML by SUV Type (0054,1006); PS3.3 takes an absent one as BW."""


@dataclass(frozen=True, slots=True)
class PetScale:
    """What rescaled values are.

    Parameters
    ----------
    unit : ImageUnit
        After multiplication by `factor`.
    factor : float
        Multiplies the rescaled values.
    stated_suv_per_bqml : float or None
        The scanner's own factor from Bq/ml to SUVbw.
    """

    unit: ImageUnit
    factor: float = 1.0
    stated_suv_per_bqml: float | None = None


def pet_scale_of(dataset: Dataset, where: str) -> PetScale:
    """Return what the values of a slice are.

    Parameters
    ----------
    dataset : Dataset
        One slice.
    where : str
        Its name, for the message.

    Returns
    -------
    PetScale
        CNTS with a Philips factor becomes Bq/ml, or SUVbw where only that factor is given; CNTS
        and PROPCPS without one stay counts, which have no SUV until a user supplies their scale.

    Raises
    ------
    DicomError
        If the unit is none of these, or the kind of SUV is not said or not known.
    """
    units = text_of(dataset, "Units")
    if units == "BQML":
        return PetScale(ImageUnit.BQML)
    if units == "GML":
        return PetScale(_suv_unit(dataset, where))
    if units == "CM2ML":
        return PetScale(ImageUnit.SUVBSA)
    if units == "CNTS":
        return _counts(dataset)
    if units == "PROPCPS":
        return PetScale(ImageUnit.COUNTS)
    msg = (
        f"{where}: expected PET units BQML, CNTS, PROPCPS, GML or CM2ML, got {units or 'none'}; "
        "export it in Bq/ml"
    )
    raise DicomError(msg)


def _suv_unit(dataset: Dataset, where: str) -> ImageUnit:
    kind = text_of(dataset, "SUVType")
    if kind not in SUV_UNIT:
        msg = (
            f"{where}: expected SUV Type BW, LBMJANMA or LBMJAMES128 with units GML, got {kind}; "
            "export it in Bq/ml"
        )
        raise DicomError(msg)
    return SUV_UNIT[kind]


def _counts(dataset: Dataset) -> PetScale:
    """Philips: (7053,xx00) from counts to SUVbw, (7053,xx09) from counts to Bq/ml."""
    suv_per_count = _philips_factor(dataset, 0x00)
    bqml_per_count = _philips_factor(dataset, 0x09)
    if bqml_per_count is not None:
        stated = None if suv_per_count is None else suv_per_count / bqml_per_count
        return PetScale(ImageUnit.BQML, bqml_per_count, stated)
    if suv_per_count is not None:
        return PetScale(ImageUnit.SUVBW, suv_per_count)
    return PetScale(ImageUnit.COUNTS)


def _philips_factor(dataset: Dataset, element: int) -> float | None:
    """Return a private factor; None if absent, zero or not a number."""
    try:
        value = dataset.private_block(0x7053, PHILIPS_CREATOR)[element].value
    except KeyError:
        found = dataset.get((0x7053, 0x1000 + element))
        if found is None:
            return None
        value = found.value
    text = value.decode("ascii", "ignore") if isinstance(value, bytes) else str(value)
    try:
        factor = float(text.strip(" \0"))
    except ValueError:
        return None
    return factor if 0 < factor < float("inf") else None
