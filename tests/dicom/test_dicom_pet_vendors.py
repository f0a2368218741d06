"""Single slices with headers as three vendors write them, and a reference object of SUV 1, 2, 4.

Files are implicit VR, private attributes without a known VR, numbers with stray spaces; the times
contradict each other as they do in files that were edited or moved. Nothing here is a real file.
"""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.uid import ImplicitVRLittleEndian

from rerad import dicom
from rerad.case.suv import measure_suv
from rerad.core import Modality
from rerad.errors import InputError, MissingDataError
from rerad.pet import SuppliedFacts, SuvKind, suv_factor, to_suv

HALF_LIFE_S = 6586.2
WEIGHT_KG, ACTIVITY_BQ = 72.5, 3.1e8
WANTED = np.array([1.0, 2.0, 4.0])
NOTHING = SuppliedFacts()


def bqml_of_suv(elapsed_s):
    return ACTIVITY_BQ * 0.5 ** (elapsed_s / HALF_LIFE_S) / (WEIGHT_KG * 1000)


def raw(dataset, tag, text, vr="UN"):
    """Put bytes into a file that its reader must make sense of."""
    value = text.encode() if vr == "UN" else text
    dataset[tag] = DataElement(tag, vr, value)


def slice_of(tiny, slope, change):
    """One slice with rows of SUV 1, 2 and 4, every needless date left as it is, one file."""
    path = sorted((tiny.folder / "pt").iterdir())[1]
    dataset = pydicom.dcmread(path)
    drug = dataset.RadiopharmaceuticalInformationSequence[0]
    stored = np.zeros((dataset.Rows, dataset.Columns), np.int16)
    stored[:3] = (1000 * WANTED.astype(np.int16))[:, None]
    dataset.PixelData = stored.tobytes()
    dataset.RescaleSlope, dataset.RescaleIntercept = f"{slope / 1000:.10g}", "0"
    dataset.CorrectedImage = ["DECY", "ATTN", "SCAT"]
    dataset.SeriesDate = dataset.AcquisitionDate = "20240305"
    dataset.SeriesTime, dataset.AcquisitionTime = "101500.00", "102230.00"
    raw(dataset, "PatientWeight", f" {WEIGHT_KG} ", "LO")
    raw(drug, "RadionuclideTotalDose", f"{ACTIVITY_BQ:g} ", "LO")
    raw(drug, "RadionuclideHalfLife", f" {HALF_LIFE_S}", "LO")
    del drug.RadiopharmaceuticalStartDateTime
    drug.RadiopharmaceuticalStartTime = "091500.00"
    change(dataset, drug)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(path, implicit_vr=True, little_endian=True)
    return path


def suv(path: Path):
    return to_suv(dicom.read_image([path])).values[0, :3, 0]


def ge(dataset, drug):
    """Scan of 10:15; the series was sent on in the evening. The bed began 450 s into the scan."""
    dataset.Manufacturer = "GE MEDICAL SYSTEMS"
    dataset.SeriesTime = "183000"
    raw(dataset, 0x00090010, "GEMS_PETD_01")
    raw(dataset, 0x0009100D, "20240305101500.00 ")


def ge_without_creator(dataset, drug):
    ge(dataset, drug)
    del dataset[0x00090010]


def siemens(dataset, drug):
    """The series has the time of its export; frame reference times count from the scan."""
    dataset.Manufacturer = "SIEMENS"
    dataset.SeriesTime = "183000.123000"
    dataset.ActualFrameDuration = 120_000
    rate = np.log(2) / HALF_LIFE_S
    delay_s = np.log(rate * 120 / -np.expm1(-rate * 120)) / rate
    dataset.FrameReferenceTime = f"{1000 * (450 + delay_s):.8g}"
    drug.RadiopharmaceuticalStartDateTime = "20240305091500.000000"


def siemens_in_world_time(dataset, drug):
    """The injection in UTC, everything else in local time."""
    siemens(dataset, drug)
    dataset.TimezoneOffsetFromUTC = "+0100"
    drug.RadiopharmaceuticalStartDateTime = "20240305081500.000000+0000"


def over_midnight(dataset, drug):
    """Injected in the evening; the acquisition has no date of its own."""
    dataset.SeriesTime, dataset.AcquisitionTime = "235900", "000630"
    del dataset.AcquisitionDate
    drug.RadiopharmaceuticalStartTime = "225900"


def after_midnight(dataset, drug):
    dataset.SeriesTime, dataset.AcquisitionTime = "001000", "001730"
    drug.RadiopharmaceuticalStartTime = "231000"


@pytest.mark.parametrize(
    "change",
    [ge, ge_without_creator, siemens, siemens_in_world_time, over_midnight, after_midnight],
)
def test_bqml_from_the_start_of_the_scan(tiny, change):
    """One hour from injection to the scan, whatever was done to the series' own time."""
    path = slice_of(tiny, bqml_of_suv(3600.0), change)
    assert dicom.read_image([path]).pet.injection_to_reference_s == pytest.approx(3600, abs=0.01)
    np.testing.assert_allclose(suv(path), WANTED, rtol=2e-5)


def philips(suv_per_count="", bqml_per_count=""):
    def change(dataset, drug):
        dataset.Manufacturer, dataset.Units = "Philips Medical Systems", "CNTS"
        raw(dataset, 0x70530010, "Philips PET Private Group")
        raw(dataset, 0x70531000, suv_per_count)
        raw(dataset, 0x70531009, bqml_per_count)

    return change


@pytest.mark.parametrize(
    ("suv_per_count", "has_bqml", "said"),
    [
        (" 0.002 ", True, "agreeing"),
        ("0.000000", True, "weight"),
        ("0.002", False, "of this kind"),
    ],
)
def test_philips_counts(tiny, suv_per_count, has_bqml, said):
    """SUV 1 is 500 rescaled counts."""
    factor = f" {bqml_of_suv(3600.0) / 500:.10g}" if has_bqml else "0"
    path = slice_of(tiny, 500.0, philips(suv_per_count, factor))
    np.testing.assert_allclose(suv(path), WANTED, rtol=2e-5)
    assert said in suv_factor(dicom.read_image([path])).source


def test_philips_counts_without_either_factor_are_counts(tiny):
    path = slice_of(tiny, 500.0, philips("0", "0"))
    with pytest.raises(InputError, match="got CNTS; supply what one unit is"):
        suv(path)


def _set(where, keyword, text):
    def change(dataset, drug):
        raw(dataset if where == "dataset" else drug, keyword, text, "LO")

    return change


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (_set("dataset", "PatientWeight", "0"), MissingDataError, "weight in kg.*--weight"),
        (_set("dataset", "PatientWeight", ""), MissingDataError, "weight in kg.*--weight"),
        (_set("dataset", "PatientWeight", "72,5"), InputError, "'72,5'.*--weight"),
        (_set("drug", "RadionuclideTotalDose", "370 MBq"), InputError, "'370 MBq'.*--activity"),
        (_set("drug", "RadionuclideTotalDose", "0"), MissingDataError, "--activity-mbq"),
        (_set("drug", "RadionuclideHalfLife", "0"), MissingDataError, "half life.*--half-life"),
        (_set("drug", "RadiopharmaceuticalStartTime", ""), MissingDataError, "--uptake-time"),
        (_set("drug", "RadiopharmaceuticalStartTime", "000000.00"), InputError,
         "00:00:00, as where it was removed.*--uptake-time"),
        (_set("drug", "RadiopharmaceuticalStartDateTime", "20190305091500"), InputError,
         "before the reference time.*dates may have been shifted"),
        (_set("dataset", "DecayCorrection", ""), InputError, "START, ADMIN or NONE.*--decay"),
        (_set("dataset", "DecayCorrection", "NONE"), InputError,
         "DECY, ATTN, SCAT, but Decay Correction is NONE"),
    ],
)  # fmt: skip
def test_what_is_missing_or_contradicts_itself_is_refused_by_name(tiny, change, error, said):
    path = slice_of(tiny, bqml_of_suv(3600.0), change)
    with pytest.raises(error, match=said):
        suv(path)


def test_a_reference_object_without_a_patient_s_position_is_read(tiny):
    """Coordinates put a PET in place; a CT must say how the patient lay, a PET need not."""

    def bare(dataset, drug):
        for keyword in ("PatientPosition", "PatientOrientationCodeSequence",
                        "PatientGantryRelationshipCodeSequence"):  # fmt: skip
            if keyword in dataset:
                del dataset[keyword]

    path = slice_of(tiny, bqml_of_suv(3600.0), bare)
    assert dicom.read_image([path]).modality is Modality.PET
    np.testing.assert_allclose(suv(path), WANTED, rtol=2e-5)


def test_the_user_s_facts_go_before_the_header(tiny):
    """A weight with a comma is refused, and then supplied: SUV as if it had been right."""
    path = slice_of(tiny, bqml_of_suv(3600.0), _set("dataset", "PatientWeight", "72,5"))
    facts = SuppliedFacts(patient_weight_kg=WEIGHT_KG)
    report = measure_suv(path, supplied=facts, kind=SuvKind.BODY_WEIGHT)
    assert report.statistics.maximum == pytest.approx(4.0, rel=2e-5)
    assert {f.code for f in report.findings} >= {"pet-single-slice"}
    assert report.image.pet.supplied == ("patient_weight_kg",)
