"""What a reader of a SUV must weigh: where the times come from, what was not corrected."""

from rerad.core import Finding, Image, PetAcquisition, Severity
from rerad.pet.body import body_mass_index, james_turning_bmi
from rerad.pet.suv import SuvFactor, SuvKind


def suv_findings(image: Image, factor: SuvFactor) -> tuple[Finding, ...]:
    """Return the findings on a PET image and the factor that made it SUV.

    Parameters
    ----------
    image : Image
        As read.
    factor : SuvFactor
        From `suv_factor`.

    Returns
    -------
    tuple of Finding
    """
    pet = image.pet
    if pet is None:
        return ()
    where = image.description or image.series_uid
    findings = [
        *_correction_findings(pet, where),
        *_time_findings(pet, where),
        *_lean_findings(pet, factor, where),
    ]
    if image.grid.shape[0] == 1:
        text = "the image is one slice; minimum, mean and peak say nothing about the patient"
        findings.append(Finding(Severity.NOTE, "pet-single-slice", text, where))
    if "weight, activity or time is missing" in factor.source:
        text = f"SUV is made with {factor.source}"
        findings.append(Finding(Severity.CAUTION, "suv-factor-unchecked", text, where))
    return tuple(findings)


def _correction_findings(pet: PetAcquisition, where: str) -> list[Finding]:
    """Attenuation is the correction without which SUV means nothing."""
    if not pet.corrections:
        text = "the header does not say which corrections were made; attenuation may be missing"
        return [Finding(Severity.NOTE, "pet-corrections-unknown", text, where)]
    if "ATTN" in pet.corrections:
        return []
    text = (
        f"Corrected Image is {', '.join(pet.corrections)}: attenuation is not named, and without "
        "that correction uptake deep in the body is far too low"
    )
    return [Finding(Severity.SERIOUS, "pet-attenuation-not-corrected", text, where)]


def _time_findings(pet: PetAcquisition, where: str) -> list[Finding]:
    findings = []
    if pet.reference_source and not pet.reference_source.startswith("series time"):
        text = f"decay is taken to {pet.reference_source}"
        findings.append(Finding(Severity.NOTE, "pet-reference-time", text, where))
    if pet.decay_correction == "NONE":
        text = "the image is not decay-corrected; each slice is taken at its own time"
        findings.append(Finding(Severity.CAUTION, "pet-not-decay-corrected", text, where))
    return findings


def _lean_findings(pet: PetAcquisition, factor: SuvFactor, where: str) -> list[Finding]:
    """James' parabola turns: beyond its top more weight means less lean mass."""
    weight, height = pet.patient_weight_kg, pet.patient_height_m
    if factor.kind is not SuvKind.LEAN_JAMES or weight is None or height is None:
        return []
    bmi, top = body_mass_index(weight, height), james_turning_bmi(pet.patient_sex)
    if bmi <= top:
        return []
    text = (
        f"body mass index {bmi:.1f} kg/m² is beyond the top ({top:.1f}) of James' formula, where "
        "lean mass falls while weight rises; use the one of Janmahasatian"
    )
    return [Finding(Severity.CAUTION, "suv-james-beyond-top", text, where)]
