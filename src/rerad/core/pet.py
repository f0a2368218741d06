"""What the header of a PET series says about the injected activity: SUV is made from it."""

from dataclasses import dataclass
from datetime import datetime

WEIGHT_RANGE_KG = (0.5, 500.0)
"""Beyond these a weight is in another unit."""

HEIGHT_RANGE_M = (0.2, 2.8)
"""Beyond these a height is in another unit."""

ACTIVITY_RANGE_BQ = (1e4, 1e11)
"""A smaller injected activity makes no image; beyond these it is in MBq, mCi or a smaller unit."""


@dataclass(frozen=True, slots=True)
class HeaderConflict:
    """Two statements of a header that cannot both be true, or one that cannot be true.

    Parameters
    ----------
    fact : str
        Name of the field of `PetAcquisition` that cannot be trusted; a user who supplies it
        resolves the conflict.
    text : str
        What contradicts what, and what to do.
    """

    fact: str
    text: str


@dataclass(frozen=True, slots=True)
class PetAcquisition:
    """Facts for the standardised uptake value; None means the header does not say.

    Parameters
    ----------
    patient_weight_kg : float or None
        Body weight.
    injected_activity_bq : float or None
        Activity at the time of injection.
    half_life_s : float or None
        Physical half life of the nuclide.
    injection_to_reference_s : float or None
        Time from injection to the moment that the image is decay-corrected to; 0 if it is
        corrected to the injection itself (DecayCorrection ADMIN).
    decay_correction : str
        DICOM DecayCorrection: START, ADMIN or NONE.
    radiopharmaceutical : str
        Name as written in the header.
    patient_height_m : float or None
        Body height; only lean mass and body surface need it.
    patient_sex : str
        F, M, O or empty; only lean mass needs it.
    injection_to_slice_s : tuple of float
        Time from injection to the mean count rate of each slice, in the order of k; only for
        DecayCorrection NONE, where each bed position stands at a time of its own.
    injected_at, reference_at : datetime or None
        The two moments as the header gives them, local time.
    reference_source : str
        Which attributes gave the reference moment, and why.
    stated_suv_per_bqml : float or None
        Factor from Bq/ml to SUVbw that the scanner itself states (Philips (7053,1000) over
        (7053,1009)).
    header_unit : str
        DICOM Units as written.
    corrections : tuple of str
        DICOM CorrectedImage; empty if not said.
    conflicts : tuple of HeaderConflict
        What in the header contradicts itself.
    supplied : tuple of str
        Fields that did not come from the header but from the user.
    """

    patient_weight_kg: float | None
    injected_activity_bq: float | None
    half_life_s: float | None
    injection_to_reference_s: float | None
    decay_correction: str
    radiopharmaceutical: str = ""
    patient_height_m: float | None = None
    patient_sex: str = ""
    injection_to_slice_s: tuple[float, ...] = ()
    injected_at: datetime | None = None
    reference_at: datetime | None = None
    reference_source: str = ""
    stated_suv_per_bqml: float | None = None
    header_unit: str = ""
    corrections: tuple[str, ...] = ()
    conflicts: tuple[HeaderConflict, ...] = ()
    supplied: tuple[str, ...] = ()

    @property
    def has_supplied_time(self) -> bool:
        """Whether the time from injection to the reference moment came from the user."""
        return "injection_to_reference_s" in self.supplied
