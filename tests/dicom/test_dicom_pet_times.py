"""From injection to the moment that activity is corrected to."""

import pydicom
import pytest

from rerad import dicom


def _read(tiny, change):
    paths = sorted((tiny.folder / "pt").iterdir())
    for path in paths:
        dataset = pydicom.dcmread(path)
        change(dataset, dataset.RadiopharmaceuticalInformationSequence[0])
        dataset.save_as(path)
    return dicom.read_image(paths).pet


def _clock(series, acquisition, injected):
    def change(dataset, drug):
        dataset.SeriesTime, dataset.AcquisitionTime = series, acquisition
        del drug.RadiopharmaceuticalStartDateTime
        drug.RadiopharmaceuticalStartTime = injected

    return change


@pytest.mark.parametrize(
    ("series", "acquisition", "injected", "seconds"),
    [
        ("120000", "120000", "110000", 3600.0),
        ("120000", "120230", "110000", 3600.0),  # later bed positions do not count
        ("180000", "120000", "110000", 3600.0),  # the series was edited in the evening
        ("001000", "001000", "233000.50", 2399.5),  # over midnight
    ],
)
def test_start_correction(tiny, series, acquisition, injected, seconds):
    pet = _read(tiny, _clock(series, acquisition, injected))
    assert pet.injection_to_reference_s == pytest.approx(seconds)


def test_admin_correction_is_to_the_injection(tiny):
    pet = _read(tiny, lambda dataset, drug: setattr(dataset, "DecayCorrection", "ADMIN"))
    assert pet.injection_to_reference_s == 0.0


def test_no_correction_has_no_reference(tiny):
    pet = _read(tiny, lambda dataset, drug: setattr(dataset, "DecayCorrection", "NONE"))
    assert pet.injection_to_reference_s is None


def test_what_the_header_does_not_say_is_unknown(tiny):
    def strip(dataset, drug):
        del dataset.PatientWeight
        for keyword in (
            "RadionuclideTotalDose",
            "RadionuclideHalfLife",
            "Radiopharmaceutical",
            "RadiopharmaceuticalStartTime",
            "RadiopharmaceuticalStartDateTime",
        ):
            delattr(drug, keyword)

    pet = _read(tiny, strip)
    assert pet.patient_weight_kg is None
    assert pet.injected_activity_bq is None
    assert pet.half_life_s is None
    assert pet.injection_to_reference_s is None


def test_zero_activity_is_unknown(tiny):
    pet = _read(tiny, lambda dataset, drug: setattr(drug, "RadionuclideTotalDose", 0))
    assert pet.injected_activity_bq is None
