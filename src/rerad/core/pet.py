"""What the header of a PET series says about the injected activity: SUV is made from it."""

from dataclasses import dataclass


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
    """

    patient_weight_kg: float | None
    injected_activity_bq: float | None
    half_life_s: float | None
    injection_to_reference_s: float | None
    decay_correction: str
    radiopharmaceutical: str = ""
