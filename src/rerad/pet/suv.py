r"""Turn PET activity concentration into the standardised uptake value by body weight.

.. math:: \mathrm{SUV_{bw}} = \frac{C\,m}{A_0\,2^{-t/T_{1/2}}}

with concentration C in Bq/ml, body mass m in g, injected activity A0 in Bq, and t the time from
injection to the moment that the image is decay-corrected to.

References
----------
.. [1] QIBA FDG-PET/CT SUV technical profile and vendor-neutral pseudo-code for SUV calculation.
"""

from dataclasses import replace

import numpy as np

from rerad.core import Image, ImageUnit, Modality, PetAcquisition
from rerad.errors import InputError, MissingDataError

G_PER_KG = 1000.0
"""Grams in one kilogram."""


def _required(value: float | None, what: str, series: str) -> float:
    """Return a positive number of the header or say which is missing."""
    if value is None:
        msg = f"PET {series}: SUV needs the {what}, which the header does not give; supply it"
        raise MissingDataError(msg)
    if not 0 < value < np.inf:
        msg = f"PET {series}: expected a {what} above 0, got {value}"
        raise InputError(msg)
    return float(value)


def _activity_at_reference_bq(pet: PetAcquisition, series: str) -> float:
    """Return the injected activity at the moment that the image is corrected to."""
    injected = _required(pet.injected_activity_bq, "injected activity in Bq", series)
    if pet.decay_correction == "ADMIN":
        return injected
    if pet.decay_correction != "START":
        msg = (
            f"PET {series}: expected decay correction START or ADMIN, got "
            f"{pet.decay_correction or 'nothing'}; SUV cannot be made from it"
        )
        raise InputError(msg)
    elapsed_s = pet.injection_to_reference_s
    half_life_s = _required(pet.half_life_s, "half life in s", series)
    if elapsed_s is None:
        msg = (
            f"PET {series}: SUV needs the time from injection to the reference time in s, which "
            "the header does not give; supply it"
        )
        raise MissingDataError(msg)
    if not 0 <= elapsed_s < np.inf:
        msg = (
            f"PET {series}: expected the reference time 0 s or more after injection, got "
            f"{elapsed_s} s; check dates and times of injection and series"
        )
        raise InputError(msg)
    return float(injected * np.exp2(-elapsed_s / half_life_s))


def to_suv(image: Image) -> Image:
    """Convert a PET image in Bq/ml to SUV by body weight; one that is SUV already is returned.

    Parameters
    ----------
    image : Image
        PET in Bq/ml with its acquisition facts.

    Returns
    -------
    Image
        Same grid, unit g/ml (SUVbw).

    Raises
    ------
    InputError
        If the image is no PET, is in another unit, is not decay-corrected, or a fact is
        impossible.
    MissingDataError
        If weight, activity, half life or time is missing; the message names which.
    """
    series = image.description or image.series_uid or "series"
    if image.modality is not Modality.PET:
        msg = f"expected a PET image for SUV, got {image.modality} {series}"
        raise InputError(msg)
    if image.unit is ImageUnit.SUVBW:
        return image
    if image.unit is not ImageUnit.BQML:
        msg = f"PET {series}: expected values in Bq/ml, got {image.unit}; SUV cannot be made"
        raise InputError(msg)
    if image.pet is None:
        msg = f"PET {series}: SUV needs weight, activity and time, the header gives none of them"
        raise MissingDataError(msg)
    weight_kg = _required(image.pet.patient_weight_kg, "patient weight in kg", series)
    factor = weight_kg * G_PER_KG / _activity_at_reference_bq(image.pet, series)
    values = (image.values.astype(np.float64) * factor).astype(np.float32)
    return replace(image, values=values, unit=ImageUnit.SUVBW)
