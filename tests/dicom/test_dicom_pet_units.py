"""A digital reference object: one slice of SUV 1, 2 and 4 written in every unit and time."""

import numpy as np
import pydicom
import pytest

from rerad import dicom
from rerad.errors import InputError
from rerad.pet import SuvKind, suv_factor, to_suv

HALF_LIFE_S = 6586.2
WANTED = np.array([1.0, 2.0, 4.0])
WEIGHT_KG = 61.5
ACTIVITY_BQ = 3.7e8
"""As in the tiny study: injected 3605.5 s before the series."""


def reference_object(tiny, concentration, change):
    """Write the tiny PET again with rows of known concentration, changed by the test."""
    paths = sorted((tiny.folder / "pt").iterdir())
    for path in paths:
        dataset = pydicom.dcmread(path)
        rows, columns = dataset.Rows, dataset.Columns
        stored = np.zeros((rows, columns), np.int16)
        stored[:3] = (1000 * WANTED.astype(np.int16))[:, None]
        dataset.PixelData = stored.tobytes()
        dataset.RescaleSlope, dataset.RescaleIntercept = concentration / 1000, 0
        dataset.CorrectedImage = ["DECY", "ATTN"]
        change(dataset, dataset.RadiopharmaceuticalInformationSequence[0])
        dataset.save_as(path)
    return paths


def suv_rows(paths, kind=SuvKind.BODY_WEIGHT):
    image = dicom.read_image(paths)
    return to_suv(image, kind).values[0, :3, 0]


def unit_bqml(elapsed_s):
    """Bq/ml of SUV 1 at a time after injection."""
    return ACTIVITY_BQ * 0.5 ** (elapsed_s / HALF_LIFE_S) / (WEIGHT_KG * 1000)


def nothing(dataset, drug):
    pass


def test_bqml_corrected_to_the_start(tiny):
    paths = reference_object(tiny, unit_bqml(3605.5), nothing)
    np.testing.assert_allclose(suv_rows(paths), WANTED, rtol=1e-5)


def test_bqml_corrected_to_the_injection(tiny):
    def admin(dataset, drug):
        dataset.DecayCorrection = "ADMIN"

    paths = reference_object(tiny, unit_bqml(0.0), admin)
    np.testing.assert_allclose(suv_rows(paths), WANTED, rtol=1e-5)


def test_bqml_not_corrected_is_taken_at_the_mean_count_rate(tiny):
    def none(dataset, drug):
        dataset.DecayCorrection = "NONE"
        dataset.CorrectedImage = ["ATTN"]
        dataset.AcquisitionTime = "121000"
        dataset.ActualFrameDuration = 1200_000

    rate = np.log(2) / HALF_LIFE_S
    mean_delay_s = np.log(rate * 1200 / (1 - np.exp(-rate * 1200))) / rate
    assert 590 < mean_delay_s < 600
    paths = reference_object(tiny, unit_bqml(3605.5 + 600 + mean_delay_s), none)
    np.testing.assert_allclose(suv_rows(paths), WANTED, rtol=1e-5)


@pytest.mark.parametrize("has_computed", [True, False])
def test_an_edited_series_time_is_not_believed(tiny, has_computed):
    """The series says the evening; the bed position began 600 s into the scan."""

    def edited(dataset, drug):
        dataset.SeriesTime = "200000"
        dataset.AcquisitionTime = "121000"
        if has_computed:
            dataset.ActualFrameDuration = 180_000
            rate = np.log(2) / HALF_LIFE_S
            delay_s = np.log(rate * 180 / (1 - np.exp(-rate * 180))) / rate
            dataset.FrameReferenceTime = 1000 * (600 + delay_s)

    elapsed_s = 3605.5 if has_computed else 3605.5 + 600
    paths = reference_object(tiny, unit_bqml(elapsed_s), edited)
    image = dicom.read_image(paths)
    assert image.pet.injection_to_reference_s == pytest.approx(elapsed_s, abs=2e-3)
    assert ("frame reference time" in image.pet.reference_source) is has_computed
    np.testing.assert_allclose(to_suv(image).values[0, :3, 0], WANTED, rtol=1e-5)


def test_ge_keeps_the_scan_time_privately(tiny):
    def ge(dataset, drug):
        dataset.SeriesTime = "200000"
        dataset.AcquisitionTime = "121000"
        block = dataset.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x0D, "DT", "20240305120000.00")

    paths = reference_object(tiny, unit_bqml(3605.5), ge)
    assert dicom.read_image(paths).pet.reference_source.startswith("GE private scan time")
    np.testing.assert_allclose(suv_rows(paths), WANTED, rtol=1e-5)


def philips(suv_factor=None, bqml_factor=None):
    def change(dataset, drug):
        dataset.Units = "CNTS"
        block = dataset.private_block(0x7053, "Philips PET Private Group", create=True)
        if suv_factor is not None:
            block.add_new(0x00, "DS", f"{suv_factor:.10g}")
        if bqml_factor is not None:
            block.add_new(0x09, "DS", f"{bqml_factor:.10g}")

    return change


def test_philips_counts(tiny):
    """SUV 1 is 500 counts; rescaled counts times the factor, not stored ones."""
    bqml = unit_bqml(3605.5) / 500
    paths = reference_object(tiny, 500.0, philips(1 / 500, bqml))
    np.testing.assert_allclose(suv_rows(paths), WANTED, rtol=1e-5)
    assert "agreeing" in suv_factor(dicom.read_image(paths)).source


def test_philips_counts_with_one_of_the_factors(tiny):
    paths = reference_object(tiny, 500.0, philips(suv_factor=1 / 500))
    np.testing.assert_allclose(suv_rows(paths), WANTED, rtol=1e-5)


def test_philips_counts_with_zero_suv_factor(tiny):
    paths = reference_object(tiny, 500.0, philips(0.0, unit_bqml(3605.5) / 500))
    np.testing.assert_allclose(suv_rows(paths), WANTED, rtol=1e-5)


def test_philips_factors_that_contradict_weight_and_activity(tiny):
    paths = reference_object(tiny, 500.0, philips(1 / 300, unit_bqml(3605.5) / 500))
    with pytest.raises(InputError, match="find out which was changed"):
        suv_rows(paths)


@pytest.mark.parametrize("units", ["CNTS", "PROPCPS"])
def test_counts_without_a_scale_have_no_suv(tiny, units):
    def counts(dataset, drug):
        dataset.Units = units

    paths = reference_object(tiny, 500.0, counts)
    with pytest.raises(InputError, match=f"got {units}; supply what one unit is"):
        suv_rows(paths)


def test_suv_as_stored(tiny):
    def gml(dataset, drug):
        dataset.Units = "GML"

    paths = reference_object(tiny, 1.0, gml)
    np.testing.assert_allclose(suv_rows(paths), WANTED, rtol=1e-6)


def test_lean_suv_as_stored_goes_back_to_body_weight(tiny):
    lean_kg = 9270 * WEIGHT_KG / (8780 + 244 * WEIGHT_KG / 1.68**2)

    def lean(dataset, drug):
        dataset.Units, dataset.SUVType = "GML", "LBMJANMA"
        dataset.PatientSize = 1.68

    paths = reference_object(tiny, lean_kg / WEIGHT_KG, lean)
    np.testing.assert_allclose(suv_rows(paths), WANTED, rtol=1e-5)


def test_one_slice_alone(tiny):
    paths = reference_object(tiny, unit_bqml(3605.5), nothing)
    np.testing.assert_allclose(suv_rows(paths[1:2]), WANTED, rtol=1e-5)


def _set(where, keyword, value):
    def change(dataset, drug):
        setattr(dataset if where == "dataset" else drug, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (_set("drug", "RadionuclideTotalDose", 370), "Total Dose is 370.*--activity-mbq"),
        (_set("dataset", "PatientWeight", 61500), "Weight is 61500.*--weight"),
        (_set("drug", "RadionuclideHalfLife", 109.77), "fluorine-18 .*109.77 s.*--half-life"),
        (_set("dataset", "CorrectedImage", ["ATTN"]), "ATTN, but Decay Correction is START"),
        (
            _set("drug", "RadiopharmaceuticalStartDateTime", "20240306110000"),
            "after the reference time",
        ),
        (
            _set("drug", "RadiopharmaceuticalStartDateTime", "20230305105954"),
            "before the reference time",
        ),
        (_set("drug", "RadiopharmaceuticalStartTime", "093000"), "its start time 09:30:00"),
    ],
)
def test_contradictions_are_refused_by_name(tiny, change, named):
    paths = reference_object(tiny, unit_bqml(3605.5), change)
    with pytest.raises(InputError, match=named):
        suv_rows(paths)


def test_slices_that_differ_in_weight(tiny):
    paths = reference_object(tiny, unit_bqml(3605.5), nothing)
    dataset = pydicom.dcmread(paths[1])
    dataset.PatientWeight = 80
    dataset.save_as(paths[1])
    with pytest.raises(
        InputError, match=r"slices of the series differ in PatientWeight: 61.5, 80"
    ):
        suv_rows(paths)
