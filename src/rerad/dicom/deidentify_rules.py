"""What becomes of each element: PS3.15 Annex E Basic Profile, told by what may stay.

The profile lists what must go. Here it is the other way round: an element stays only if its kind
of value cannot name a person (numbers, codes of the standard, pixels) or if it is on a short list
of technical texts; so what the list forgets is gone, not published. UIDs are replaced, dates
and times of day moved as whole moments, person names emptied or replaced, private elements,
overlays and unknown elements removed.

Options of the profile that are used: Clean Descriptors (113105), Retain Longitudinal Temporal
Information with Modified Dates (113107), and on request Retain Patient Characteristics (113108).
"""

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from rerad.dicom.deidentify_key import PseudonymKey
from rerad.dicom.deidentify_sequences import KEPT_SEQUENCES
from rerad.dicom.deidentify_terms import is_defined
from rerad.dicom.deidentify_times import moved_moments
from rerad.dicom.headers import count_of, text_of

KEPT_KINDS = frozenset({"AT", "CS", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
"""Value representations that stay as they are, unless the element is named below."""

KEPT_BINARY = frozenset({
    "PixelData", "FloatPixelData", "DoubleFloatPixelData", "VectorGridData",
    "RedPaletteColorLookupTableData", "GreenPaletteColorLookupTableData",
    "BluePaletteColorLookupTableData",
})  # fmt: skip
"""Binary elements that stay."""

BINARY_KINDS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""Value representations that may hold anything."""

DRAWN_GROUPS = range(0x5000, 0x6100)
"""Curves, waveforms and overlays."""

SHORTEST_PART = 5
"""Letters of a word that is also looked for within other words."""

REMOVED = frozenset({
    "PatientAge", "PatientSize", "PatientWeight", "EthnicGroup", "PregnancyStatus",
    "SmokingStatus", "PatientSexNeutered", "BodyPartThickness", "ReviewDate", "ModifyingDeviceID",
    "InstanceOriginStatus", "ReasonForTheAttributeModification", "LensSpecification",
})  # fmt: skip
"""Numbers, codes and dates that are gone all the same."""

KEPT_TIMES = frozenset({
    "StudyTime", "SeriesTime", "AcquisitionTime", "ContentTime", "InstanceCreationTime",
    "StructureSetTime", "RTPlanTime", "TreatmentTime", "TreatmentControlPointTime",
    "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStopTime", "SourceStrengthReferenceTime",
})  # fmt: skip
"""Times of day that stay, moved with their dates, for decay and order; others are removed."""

CHARACTERISTICS = frozenset({"PatientAge", "PatientSize", "PatientWeight", "PatientSex"})
"""What the option Retain Patient Characteristics keeps; SUV needs the weight."""

EMPTIED = frozenset({
    "ReferringPhysicianName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber",
    "OperatorsName", "ROIInterpreter", "PositionReferenceIndicator", "PhysiciansOfRecord",
    "InstitutionName", "ROIObservationLabel",
})  # fmt: skip
"""Emptied rather than removed: their objects may not lack them."""

KEPT_TEXTS = frozenset({
    "Manufacturer", "ManufacturerModelName", "SoftwareVersions", "ConvolutionKernel",
    "SequenceName", "Radiopharmaceutical", "CodingSchemeDesignator", "CodingSchemeVersion",
    "FluenceModeID", "ReconstructionMethod", "AttenuationCorrectionMethod",
    "ScatterCorrectionMethod", "FilterType", "CodeValue", "MaterialID",
})  # fmt: skip
"""Technical texts that stay, if no word of the patient's is in them."""

STANDARD_SCHEMES = frozenset({"DCM", "SCT", "SRT", "SNM3", "UCUM", "FMA", "NCIt", "RADLEX", "LN"})
"""Coding schemes whose meanings are published words."""

FIXED_TEXTS = {
    "RTPlanLabel": "ANON",
    "StructureSetLabel": "ANON",
    "TreatmentMachineName": "MACHINE",
    "SetupTechniqueDescription": "",
}
"""Labels that must be there and say nothing."""

DOSE_WORDS = re.compile(r"(?:EQD2|BED) a/b=[0-9.]+|unknown=\d+ as 0")
"""Parts of Dose Comment that rerad writes and reads again."""

TARGET = re.compile(
    r"[z~]?(?:i?gtv|ctv|itv|ptv|prv|pcv|ring|opt|bolus|couch|external|body)[a-z]?"
    r"(?:[_ ^!+-]?(?:[pnmlr]|high|mid|low|sum|ring|opt|eval|boost|ant|post|left|right|\d{1,5}))*",
    re.IGNORECASE,
)
"""Names of targets and planning structures after TG-263, with doses and sides."""

ANATOMY = re.compile(
    r"(?:nerv?root|root)_?[ctls]\d{1,2}(?:_[lr])?|[av]_iliac(?:_(?:cmn|int|ext))?(?:_[lr])?|"
    r"(?:vb|vertebra)_?[ctls]\d{1,2}",
    re.IGNORECASE,
)
"""Nerve roots, iliac vessels and vertebrae by level and side: names of anatomy alone."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How one patient's objects are cleaned.

    Parameters
    ----------
    key : PseudonymKey
        Makes UIDs and pseudonyms.
    patient_id : str
        As in the files; pseudonym and offset hang on it.
    words : frozenset of str
        Words of the patient's name and numbers, and her dates as they are written, lower case: no
        text that holds one stays.
    keep_characteristics : bool
        Keep sex, age, size and weight.
    """

    key: PseudonymKey
    patient_id: str
    words: frozenset[str]
    keep_characteristics: bool

    def is_safe(self, text: str) -> bool:
        """Return whether no word of the patient's is in a text."""
        lower = text.lower()
        parts = set(re.split(r"[\W_]+", lower))
        return not any(
            word in parts or (len(word) >= SHORTEST_PART and word in lower) for word in self.words
        )


def clean(dataset: Dataset, rules: Rules) -> None:
    """Clean a data set and everything in its sequences, in place.

    Parameters
    ----------
    dataset : Dataset
        Whole, with values read.
    rules : Rules
        Of its patient.
    """
    moments = moved_moments(dataset, rules.key.offset(rules.patient_id))
    for tag in list(dataset.keys()):
        element = dataset[tag]
        is_private = element.tag.is_private or not element.keyword
        if is_private or element.tag.group in DRAWN_GROUPS:
            del dataset[tag]
            continue
        if element.tag in moments:
            element.value = moments[element.tag]
        _clean_element(dataset, element, rules)


def _clean_element(dataset: Dataset, element: DataElement, rules: Rules) -> None:
    """Clean, empty or remove one element."""
    keyword, kind = element.keyword, element.VR
    keeps = rules.keep_characteristics and keyword in CHARACTERISTICS
    is_stray_time = kind == "TM" and keyword not in KEPT_TIMES
    is_stray_sequence = kind == "SQ" and keyword not in KEPT_SEQUENCES
    is_place = keyword.startswith("GPS")
    if (keyword in REMOVED and not keeps) or is_stray_time or is_stray_sequence or is_place:
        del dataset[element.tag]
    elif keyword in EMPTIED and not keeps:
        element.value = ""
    elif kind == "SQ":
        for item in element.value:
            clean(item, rules)
    elif kind in {"DA", "DT", "TM"}:
        return  # moved already, with what belongs to it
    elif kind in BINARY_KINDS:
        if keyword not in KEPT_BINARY:
            del dataset[element.tag]
    elif kind == "UI":
        element.value = _each(element.value, rules.key.uid)
    elif kind in KEPT_KINDS:
        if kind == "CS":
            element.value = _each(element.value, lambda term: _term(term, rules))
    elif not keeps:
        _clean_text(dataset, element, rules)


def _each(value: object, change: object) -> object:
    """Return a value with a function applied to each of its parts."""
    if value is None or value == "":
        return ""
    if isinstance(value, MultiValue | list):
        return [change(str(part)) for part in value]  # type: ignore[operator]
    return change(str(value))  # type: ignore[operator]


def _term(text: str, rules: Rules) -> str:
    """Return a code string if the standard defines it or no word of the patient's is in it."""
    return text if is_defined(text) or rules.is_safe(text) else ""


def _clean_text(dataset: Dataset, element: DataElement, rules: Rules) -> None:
    """Replace a text by what may stay of it, or remove it."""
    keyword = element.keyword
    text = str(element.value or "")
    replaced = _replacement(dataset, keyword, text, rules)
    if replaced is None:
        del dataset[element.tag]
    elif replaced != text:
        element.value = replaced


def _replacement(dataset: Dataset, keyword: str, text: str, rules: Rules) -> str | None:
    """Return what stands for a text, None if nothing does."""
    if keyword in FIXED_TEXTS:
        return FIXED_TEXTS[keyword]
    if keyword == "PatientID":
        return rules.key.patient_id(rules.patient_id)
    if keyword == "PatientName":
        return rules.key.patient_id(rules.patient_id)
    if keyword == "BeamName":
        return f"BEAM {count_of(dataset, 'BeamNumber')}"
    if keyword == "ROIName":
        return structure_name(text, count_of(dataset, "ROINumber"), rules)
    if keyword == "DoseReferenceDescription":
        return structure_name(text, count_of(dataset, "DoseReferenceNumber"), rules)
    if keyword == "DoseComment":
        return " ".join(DOSE_WORDS.findall(text)) or None
    if keyword == "CodeMeaning":
        is_known = text_of(dataset, "CodingSchemeDesignator") in STANDARD_SCHEMES
        return text if is_known and rules.is_safe(text) else "removed"
    if keyword in KEPT_TEXTS:
        return text if rules.is_safe(text) else ""
    return None


def structure_name(name: str, number: int, rules: Rules) -> str:
    """Return the name of a structure if it is one that everybody uses, else its number.

    Parameters
    ----------
    name : str
        As drawn.
    number : int
        ROI number.
    rules : Rules
        Of the patient.
    """
    plain = name.strip()
    is_pattern = any(pattern.fullmatch(plain) for pattern in (TARGET, ANATOMY))
    is_known = plain.lower() in known_names() or is_pattern
    return name if is_known and rules.is_safe(name) else f"ROI {number}"


@cache
def known_names() -> frozenset[str]:
    """Return the names of the table of structure names, in lower case, with sides and PRV."""
    file = resources.files("rerad.tables").joinpath("structure_names.csv")
    lines = [
        line
        for line in file.read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    names: set[str] = set()
    for row in csv.DictReader(lines):
        for name in (row["name"], *row["synonyms"].split("|")):
            plain = name.strip().lower()
            names |= {f"{plain}{ending}" for ending in _ENDINGS if plain}
    return frozenset(names)


_ENDINGS = ("", "_l", "_r", *(f"_prv{n:02d}" for n in range(1, 11)), "-ptv", "-gtv", "-ctv")
"""Sides, margins and differences that TG-263 hangs on a name."""
