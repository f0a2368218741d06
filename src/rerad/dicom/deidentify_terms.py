"""Words that an object may hold whatever the patient is called: terms of the standard, and ours.

A patient, or a phantom, may be called Plan or Photon. A code string that the standard defines says
nothing about her, and an object without it cannot be read; so these stay.
"""

import re

DEFINED_TERMS = frozenset({
    "ABSENT", "ADMIN", "AFFINE", "APPROVED", "ASYMX", "ASYMY", "ATTN", "AVOIDANCE", "AXIAL",
    "BEAM", "BEAM_SESSION", "BOLUS", "BQML", "BRACHY", "BRACHY_SESSION", "CAVITY", "CC",
    "CLOSEDPLANAR_XOR", "CLOSED_PLANAR", "CNTS", "CONTINUATION", "CONTRAST_AGENT", "CONTROL_POINT",
    "CONTROL_STRUCTURE", "COORDINATES", "CT", "CTV", "CURATIVE", "CW", "DECY", "DERIVED",
    "DOSE_REGION", "DTIM", "DYNAMIC", "DYNTRANSMIC", "EFFECTIVE", "ELECTRON", "EMISSION", "ERROR",
    "EXTERNAL", "FFDL", "FFDR", "FFP", "FFS", "FILTERED", "FIXATION", "FRACTION",
    "FRACTION_SESSION", "GATED", "GML", "GTV", "GY", "HFDL", "HFDR", "HFP", "HFS", "IMAGE", "ION",
    "IRRAD_VOLUME", "ITV", "LINEAR", "LINEAR_EXACT", "LOCALIZER", "MACHINE", "MARKER", "MINUTE",
    "MLCX", "MLCY", "MONOCHROME1", "MONOCHROME2", "MOTN", "MR", "MU", "MULTI_PLAN", "NEUTRON",
    "NO", "NONE", "NONSTANDARD", "NON_STANDARD", "NORM", "NORMAL", "NOT_VERIFIED",
    "OPEN_NONPLANAR", "OPEN_PLANAR", "OPEN_PORTFILM", "OPERATOR", "ORGAN", "ORGAN_AT_RISK",
    "ORIGINAL", "OTHER", "PALLIATIVE", "PATIENT", "PHOTON", "PHYSICAL", "PLAN", "PLAN_OVERVIEW",
    "POINT", "PRIMARY", "PROPCNT", "PROPCPS", "PROPHYLACTIC", "PROTON", "PT", "PTV", "RADL", "RAN",
    "RECORD", "REG", "REGISTRATION", "REJECTED", "RELATIVE", "REPROJECTION", "RESEARCH", "RIGID",
    "RIGID_SCALE", "RTDOSE", "RTPLAN", "RTRECORD", "RTSTRUCT", "SCAT", "SECONDARY", "SERVICE",
    "SETUP", "SITE", "SPATIAL", "STANDARD", "START", "STATIC", "SUPPORT", "TARGET", "TRANSMISSION",
    "TREATED_VOLUME", "TREATMENT", "TREATMENT_DEVICE", "TRMT_PORTFILM", "UNAPPROVED", "UNKNOWN",
    "VERIFICATION", "VERIFIED", "VERIFIED_OVR", "VOLUME", "WHOLE", "WHOLE_BODY", "X", "Y", "YES",
})  # fmt: skip
"""Defined terms of the objects that are cleaned, as far as reading them asks for one."""

OWN_MEANINGS = frozenset({
    "Basic Application Confidentiality Profile",
    "Clean Descriptors Option",
    "Retain Longitudinal Temporal Information Modified Dates Option",
    "Retain Patient Characteristics Option",
    "removed",
})  # fmt: skip
"""Meanings that cleaning itself writes."""

OWN_KEYWORDS = frozenset({
    "PatientID", "PatientName", "BeamName", "DeidentificationMethod", "RTPlanLabel",
    "StructureSetLabel", "TreatmentMachineName", "SetupTechniqueDescription",
})  # fmt: skip
"""Elements whose text cleaning has put in place of what came."""

_NUMBERED = re.compile(r"ROI \d+")


def is_defined(text: str) -> bool:
    """Return whether a code string, of one value or several, holds terms of the standard only."""
    return all(
        part.strip().upper() in DEFINED_TERMS for part in re.split(r"[\\,\[\]' ]+", text) if part
    )


def is_own(keyword: str, kind: str, text: str) -> bool:
    """Return whether a text is one that cleaning wrote, or a term of the standard."""
    if keyword in OWN_KEYWORDS or text in OWN_MEANINGS:
        return True
    return (kind == "CS" and is_defined(text)) or _NUMBERED.fullmatch(text) is not None
