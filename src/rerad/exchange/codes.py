"""Addresses and codes of HL7 CodeX Radiation Therapy 2.0 and mCODE 4.0 (FHIR R4).

Read in the guides' public sources (HL7/codex-radiation-therapy and HL7/fhir-mCODE-ig, CC0-1.0).
"""

CODEX = "http://hl7.org/fhir/us/codex-radiation-therapy/StructureDefinition/"
MCODE = "http://hl7.org/fhir/us/mcode/StructureDefinition/"
OWN = "urn:rerad:extension:"
"""Extensions for fields of a record that the guide has no place for."""

SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
DICOM_UID = "urn:dicom:uid"
RECORD_KEY = "urn:rerad:record-key"
PATIENT_ID = "urn:rerad:patient-id"
ABSENT_REASON = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"

COURSE_PROFILES = (
    f"{CODEX}codexrt-radiotherapy-course-summary",
    f"{MCODE}mcode-radiotherapy-course-summary",
)
PHASE_PROFILE = f"{CODEX}codexrt-radiotherapy-treated-phase"
VOLUME_PROFILES = (f"{CODEX}codexrt-radiotherapy-volume", f"{MCODE}mcode-radiotherapy-volume")
PLANNED_COURSE_PROFILE = f"{CODEX}codexrt-radiotherapy-planned-course"
PLANNED_PHASE_PROFILE = f"{CODEX}codexrt-radiotherapy-planned-phase"
PRESCRIPTION_PROFILE = f"{CODEX}codexrt-radiotherapy-phase-prescription"
PATIENT_PROFILE = f"{MCODE}mcode-cancer-patient"

INTENT = f"{MCODE}mcode-procedure-intent"
MODALITY_AND_TECHNIQUE = f"{MCODE}mcode-radiotherapy-modality-and-technique"
MODALITY = f"{MCODE}mcode-radiotherapy-modality"
TECHNIQUE = f"{MCODE}mcode-radiotherapy-technique"
DOSE_DELIVERED = f"{MCODE}mcode-radiotherapy-dose-delivered-to-volume"
FRACTIONS_DELIVERED = f"{CODEX}codexrt-radiotherapy-fractions-delivered"
FRACTIONS_PLANNED = f"{CODEX}codexrt-radiotherapy-fractions-planned"
FRACTIONS_PRESCRIBED = f"{CODEX}codexrt-radiotherapy-fractions-prescribed"
DOSE_PLANNED = f"{CODEX}codexrt-radiotherapy-dose-planned-to-volume"
DOSE_PRESCRIBED = f"{CODEX}codexrt-radiotherapy-dose-prescribed-to-volume"
REIRRADIATION = f"{CODEX}codexrt-radiotherapy-course-involves-reirradiation"
UNIFORM = f"{CODEX}codexrt-radiotherapy-uniform-fractionation"
METRIC = f"{CODEX}codexrt-radiobiologic-metric"

RADIOTHERAPY = ("1287742003", "Radiotherapy (procedure)")
OLD_RADIOTHERAPY = "108290001"
"""Category of guides before 2.0: taken when read, with a warning."""

COURSE_CODE = ("1217123003", "Radiotherapy course of treatment (regime/therapy)")
PHASE_CODE = ("1222565005", "Radiotherapy treatment phase (regime/therapy)")

STATUSES = frozenset({"in-progress", "not-done", "on-hold", "stopped", "completed"})
"""Allowed by invariant codexrt-procedure-status."""

INTENTS = {
    "curative": ("373808002", "Curative - procedure intent"),
    "palliative": ("363676003", "Palliative - procedure intent"),
}

MODALITIES = {
    "photons": ("1156506007", "External beam radiation therapy using photons (procedure)"),
    "electrons": ("45643008", "Teleradiotherapy using electrons (procedure)"),
    "protons": ("10611004", "Teleradiotherapy protons (procedure)"),
    "carbon": ("1156505006", "External beam radiation therapy using carbon ions (procedure)"),
}

TECHNIQUES = {
    "VMAT": ("1156530009", "Volumetric modulated arc therapy (procedure)"),
    "IMRT": ("441799006", "Intensity modulated radiation therapy (procedure)"),
    "3D-CRT": ("1162782007", "Three dimensional external beam radiation therapy (procedure)"),
}
"""By the word that a technique's text holds; the first that fits counts."""

TECHNIQUES_OF = {
    "photons": frozenset({"VMAT", "IMRT", "3D-CRT"}),
    "electrons": frozenset({"3D-CRT"}),
    "protons": frozenset(),
    "carbon": frozenset(),
}
"""Which of these mCODE allows with a modality; another is written un-encoded, with its text."""

PLAN_INTENT, PRESCRIPTION_INTENT = "filler-order", "original-order"
"""Fixed by the guide for what was planned, and for what was prescribed."""

ABSENCES = {
    "unknown": "asked-unknown",
    "not applicable": "not-applicable",
    "not asked": "not-asked",
}
"""Word of a record, and code of FHIR's data-absent-reason."""
