r"""Turn PET activity concentration into the standardised uptake value.

.. math:: \mathrm{SUV} = \frac{C\,m}{A_0\,2^{-t/T_{1/2}}}

with concentration C in Bq/ml, injected activity A0 in Bq, t the time from injection to the moment
that the image is decay-corrected to, and m what the activity is thought to spread over: body mass
or lean mass in g, or body surface in cm². Of slices that are not decay-corrected each is taken at
its own time. A header that contradicts itself is refused by name, never averaged.

References
----------
.. [1] QIBA FDG-PET/CT SUV technical profile and vendor-neutral pseudo-code for SUV calculation.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from rerad.core import Image, ImageUnit, Modality, PetAcquisition
from rerad.errors import InputError, MissingDataError
from rerad.pet.body import (
    CM2_PER_M2,
    body_surface_m2,
    lean_mass_james_kg,
    lean_mass_janmahasatian_kg,
)

G_PER_KG = 1000.0
"""Grams in one kilogram."""

STATED_FACTOR_TOLERANCE = 0.05
"""Share by which the scanner's own SUV factor may differ from the one computed from weight,
activity and times: both round, and scanners differ in the second that they decay to. More means
that weight, activity or a time was changed on one side only."""

OPTION_OF = {
    "patient_weight_kg": "--weight, or weight_kg under [pet]",
    "patient_height_m": "--height",
    "patient_sex": "--sex",
    "injected_activity_bq": "--activity-mbq, or injected_activity_mbq under [pet]",
    "half_life_s": "--half-life, or half_life_s under [pet]",
    "injection_to_reference_s": "--uptake-time, or uptake_time_min under [pet]",
    "decay_correction": "--decay-correction, or decay_correction under [pet]",
    "bqml_per_unit": "--bqml-per-unit, or bqml_per_unit under [pet]",
}
"""Option of `rerad suv` that supplies each fact; a case or recipe has them under ``[pet]``."""


class SuvKind(StrEnum):
    """What the activity is thought to spread over."""

    BODY_WEIGHT = "bw"
    LEAN_JANMAHASATIAN = "lbm-janmahasatian"
    LEAN_JAMES = "lbm-james"
    BODY_SURFACE = "bsa"


UNIT_OF_KIND = {
    SuvKind.BODY_WEIGHT: ImageUnit.SUVBW,
    SuvKind.LEAN_JANMAHASATIAN: ImageUnit.SUVLBM_JANMAHASATIAN,
    SuvKind.LEAN_JAMES: ImageUnit.SUVLBM_JAMES,
    SuvKind.BODY_SURFACE: ImageUnit.SUVBSA,
}
"""Unit of each kind."""

KIND_OF_UNIT = {unit: kind for kind, unit in UNIT_OF_KIND.items()}
"""Kind of each unit that is a SUV already."""


@dataclass(frozen=True, slots=True)
class SuvFactor:
    """How image values become SUV.

    Parameters
    ----------
    kind : SuvKind
        What the SUV is normalised by.
    per_slice : tuple of float
        SUV per unit of the image, for each slice; all the same unless the image is not
        decay-corrected.
    spread_over : float
        Body mass in g, lean mass in g, or body surface in cm².
    activity_bq : tuple of float
        Activity in the patient at the reference moment of each slice; empty if it was not used.
    source : str
        Where the factor comes from, in words.
    """

    kind: SuvKind
    per_slice: tuple[float, ...]
    spread_over: float
    activity_bq: tuple[float, ...]
    source: str


def to_suv(image: Image, kind: SuvKind = SuvKind.BODY_WEIGHT) -> Image:
    """Convert a PET image to SUV; one that is SUV of that kind already is returned.

    Parameters
    ----------
    image : Image
        PET in Bq/ml with its acquisition facts, or SUV of another kind.
    kind : SuvKind
        By body weight, lean mass or body surface.

    Returns
    -------
    Image
        Same grid, in SUV.

    Raises
    ------
    InputError
        If the image is no PET, is in a unit that has no scale, its header contradicts itself, or
        a fact is impossible.
    MissingDataError
        If weight, height, sex, activity, half life or time is missing; the message names which.
    """
    if image.modality is Modality.PET and image.unit is UNIT_OF_KIND[kind]:
        return image
    factor = np.asarray(suv_factor(image, kind).per_slice)
    values = (image.values.astype(np.float64) * factor[:, None, None]).astype(np.float32)
    return replace(image, values=values, unit=UNIT_OF_KIND[kind])


def suv_factor(image: Image, kind: SuvKind = SuvKind.BODY_WEIGHT) -> SuvFactor:
    """Return the factor from image values to SUV and what it was made of.

    Parameters, and errors are those of `to_suv`.

    Returns
    -------
    SuvFactor
        One factor for each slice.
    """
    series = image.description or image.series_uid or "series"
    if image.modality is not Modality.PET:
        msg = f"expected a PET image for SUV, got {image.modality} {series}"
        raise InputError(msg)
    n_slices = image.grid.shape[0]
    if image.unit is UNIT_OF_KIND[kind]:
        return SuvFactor(kind, (1.0,) * n_slices, np.nan, (), "the image is SUV of this kind")
    if image.pet is None:
        msg = f"PET {series}: SUV needs weight, activity and time, the header gives none of them"
        raise MissingDataError(msg)
    pet = image.pet
    if image.unit in KIND_OF_UNIT:
        _refuse_conflicts(pet, series, _BODY_FACTS)
        spread = _spread_over(pet, kind, series)
        ratio = spread / _spread_over(pet, KIND_OF_UNIT[image.unit], series)
        return SuvFactor(kind, (ratio,) * n_slices, spread, (), f"from {image.unit}")
    if image.unit is not ImageUnit.BQML:
        hint = (
            f"supply what one unit is in Bq/ml ({OPTION_OF['bqml_per_unit']})"
            if image.unit is ImageUnit.COUNTS
            else "export it in Bq/ml"
        )
        unit = pet.header_unit or str(image.unit)
        msg = f"PET {series}: expected values in Bq/ml, got {unit}; {hint}"
        raise InputError(msg)
    return _factor_from_activity(image, pet, kind, series)


_BODY_FACTS = ("patient_weight_kg", "patient_height_m", "patient_sex")


def _factor_from_activity(
    image: Image, pet: PetAcquisition, kind: SuvKind, series: str
) -> SuvFactor:
    """Return the factor for values in Bq/ml."""
    n_slices = image.grid.shape[0]
    stated = pet.stated_suv_per_bqml
    needed = (pet.patient_weight_kg, pet.injected_activity_bq, pet.half_life_s)
    is_computable = None not in needed and pet.injection_to_reference_s is not None
    if stated is not None and not is_computable and not pet.supplied:
        ratio = 1.0
        if kind is not SuvKind.BODY_WEIGHT:
            spread = _spread_over(pet, kind, series)
            ratio = spread / _spread_over(pet, SuvKind.BODY_WEIGHT, series)
        source = "the scanner's own factor; weight, activity or time is missing to check it"
        return SuvFactor(kind, (stated * ratio,) * n_slices, np.nan, (), source)
    _refuse_conflicts(pet, series)
    spread = _spread_over(pet, kind, series)
    activity = _activity_bq(pet, n_slices, series)
    per_slice = tuple(float(spread / a) for a in activity)
    source = "weight, activity and times" + (" (partly user-supplied)" if pet.supplied else "")
    if stated is not None and not pet.supplied:
        own = per_slice[0] * _spread_over(pet, SuvKind.BODY_WEIGHT, series) / spread
        if abs(own / stated - 1) > STATED_FACTOR_TOLERANCE:
            msg = (
                f"PET {series}: the scanner's SUV factor is {stated:.4g} per Bq/ml, weight, "
                f"activity and times give {own:.4g}; find out which was changed and supply "
                f"{OPTION_OF['patient_weight_kg']} or {OPTION_OF['injected_activity_bq']}"
            )
            raise InputError(msg)
        source += ", agreeing with the scanner's own factor"
    return SuvFactor(kind, per_slice, spread, tuple(float(a) for a in activity), source)


def _refuse_conflicts(pet: PetAcquisition, series: str, facts: tuple[str, ...] = ()) -> None:
    """Raise for the first contradiction that no supplied fact resolves."""
    for conflict in pet.conflicts:
        if conflict.fact in pet.supplied or (facts and conflict.fact not in facts):
            continue
        msg = f"PET {series}: {conflict.text}; supply {OPTION_OF[conflict.fact]}"
        raise InputError(msg)


def _required(value: float | None, what: str, series: str, fact: str) -> float:
    """Return a positive number of the header or say which is missing."""
    if value is None:
        msg = (
            f"PET {series}: SUV needs the {what}, which the header does not give; supply it "
            f"({OPTION_OF[fact]})"
        )
        raise MissingDataError(msg)
    if not 0 < value < np.inf:
        msg = f"PET {series}: expected a {what} above 0, got {value}"
        raise InputError(msg)
    return float(value)


def _spread_over(pet: PetAcquisition, kind: SuvKind, series: str) -> float:
    """Return body mass or lean mass in g, or body surface in cm²."""
    weight_kg = _required(
        pet.patient_weight_kg, "patient weight in kg", series, "patient_weight_kg"
    )
    if kind is SuvKind.BODY_WEIGHT:
        return weight_kg * G_PER_KG
    height_m = _required(pet.patient_height_m, "patient height in m", series, "patient_height_m")
    if kind is SuvKind.BODY_SURFACE:
        return body_surface_m2(weight_kg, height_m) * CM2_PER_M2
    if kind is SuvKind.LEAN_JAMES:
        return lean_mass_james_kg(weight_kg, height_m, pet.patient_sex) * G_PER_KG
    return lean_mass_janmahasatian_kg(weight_kg, height_m, pet.patient_sex) * G_PER_KG


def _activity_bq(pet: PetAcquisition, n_slices: int, series: str) -> NDArray[np.float64]:
    """Return the activity in the patient at the moment that each slice is corrected to."""
    injected = _required(
        pet.injected_activity_bq, "injected activity in Bq", series, "injected_activity_bq"
    )
    if pet.decay_correction == "ADMIN":
        return np.full(n_slices, injected)
    if pet.decay_correction not in {"START", "NONE"}:
        msg = (
            f"PET {series}: expected decay correction START, ADMIN or NONE, got "
            f"{pet.decay_correction or 'nothing'}; supply it ({OPTION_OF['decay_correction']})"
        )
        raise InputError(msg)
    half_life_s = _required(pet.half_life_s, "half life in s", series, "half_life_s")
    elapsed_s = np.asarray(_elapsed_s(pet, n_slices, series))
    if not np.all((elapsed_s >= 0) & np.isfinite(elapsed_s)):
        msg = (
            f"PET {series}: expected the reference time 0 s or more after injection, got "
            f"{elapsed_s.min()} s; check dates and times of injection and series"
        )
        raise InputError(msg)
    return np.asarray(injected * np.exp2(-elapsed_s / half_life_s))


def _elapsed_s(pet: PetAcquisition, n_slices: int, series: str) -> tuple[float, ...]:
    """Return the time from injection to the reference moment of each slice."""
    has_own_times = pet.decay_correction == "NONE" and not pet.has_supplied_time
    if has_own_times and len(pet.injection_to_slice_s) == n_slices:
        return pet.injection_to_slice_s
    elapsed_s = pet.injection_to_reference_s
    if elapsed_s is None or has_own_times:
        msg = (
            f"PET {series}: SUV needs the time from injection to the reference time in s, which "
            f"the header does not give; supply it ({OPTION_OF['injection_to_reference_s']})"
        )
        raise MissingDataError(msg)
    return (elapsed_s,) * n_slices
