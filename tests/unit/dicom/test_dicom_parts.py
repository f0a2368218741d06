"""The small parts of the DICOM room, without files."""

from datetime import datetime, time

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from rerad.core import PatientPosition
from rerad.dicom.dose_writing import quantise
from rerad.dicom.headers import (
    StudyHeader,
    date_of,
    ds,
    number_of,
    numbers_of,
    position_text,
    set_decimals,
    set_position_codes,
)
from rerad.dicom.orientation import StoredVoxels, are_patient_axes, to_patient_axes
from rerad.dicom.pet_times import moment_of_text, time_of_text
from rerad.dicom.pixels import stored_pixels
from rerad.dicom.uids import UidFactory
from rerad.errors import DicomError, InputError


def test_uids_are_new_each_time_and_valid():
    for uids in (UidFactory(), UidFactory("seed")):
        given = [uids.new("instance") for _ in range(50)]
        assert len(set(given)) == 50
        assert all(len(uid) <= 64 and set(uid) <= set("0123456789.") for uid in given)


def test_uids_depend_on_seed_and_purpose():
    assert UidFactory("a").new("study") != UidFactory("b").new("study")
    assert UidFactory("a").new("study") != UidFactory("a").new("series")
    assert UidFactory().new("study") != UidFactory().new("study")


def test_study_header_needs_a_uid():
    with pytest.raises(InputError, match="Study Instance UID"):
        StudyHeader("")


@pytest.mark.parametrize("value", [1 / 3, -2.5e-17, 123456.789012345678, 1e22, 0.1 + 0.2, 70.0])
def test_decimal_strings_fit_16_characters(value):
    text = str(ds(value))
    assert len(text) <= 16
    assert float(text) == pytest.approx(value, rel=1e-9)


def test_long_decimals_keep_four_digits_without_negative_zero():
    dataset = Dataset()
    set_decimals(dataset, "ContourData", np.array([[1.23456, -0.00001, -1234.56789]]))
    assert numbers_of(dataset, "ContourData") == [1.2346, 0.0, -1234.5679]
    assert b"-0\\" not in dataset.get_item("ContourData").value


def test_what_is_no_number_or_date_is_absent():
    dataset = Dataset()
    dataset.PatientBirthDate = ""
    dataset.PatientWeight = None
    assert number_of(dataset, "PatientWeight") is None
    assert number_of(dataset, "SliceThickness") is None
    assert numbers_of(dataset, "PixelSpacing") == []
    assert date_of(dataset, "PatientBirthDate") is None
    assert date_of(dataset, "StudyDate") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1234", time(12, 34)),
        ("123456", time(12, 34, 56)),
        ("123456.25", time(12, 34, 56, 250000)),
        ("12:34:56", time(12, 34, 56)),
        ("", None),
        ("noon", None),
        ("250000", None),
    ],
)
def test_times(text, expected):
    assert time_of_text(text) == expected


def test_moments_with_and_without_a_time_zone():
    assert moment_of_text("20240305101112.5") == datetime(2024, 3, 5, 10, 11, 12, 500000)
    assert moment_of_text("20240305101112+0100") == datetime(2024, 3, 5, 10, 11, 12)
    assert moment_of_text("20240305") is None
    assert moment_of_text("") is None


@pytest.mark.parametrize("position", list(PatientPosition))
def test_position_codes_return(position):
    dataset = Dataset()
    set_position_codes(dataset, position)
    assert position_text(dataset) == position


def test_incomplete_position_codes_say_nothing():
    dataset = Dataset()
    set_position_codes(dataset, PatientPosition.HFP)
    dataset.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = []
    assert position_text(dataset) == ""


def test_every_permutation_and_flip_keeps_values_at_their_points():
    import itertools

    values = np.arange(24).reshape(2, 3, 4)
    for axes in itertools.permutations(range(3)):
        for signs in itertools.product([1, -1], repeat=3):
            directions = np.zeros((3, 3))
            for along, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
                directions[along, axis] = sign
            first = np.array([10.0, 20.0, 30.0])
            stored = StoredVoxels(values, first, directions, (1.0, 2.0, 4.0))
            assert stored.is_axis_aligned
            moved, origin, spacing = to_patient_axes(stored)
            for k, j, i in np.ndindex(values.shape):
                point = first + np.array([i * 1.0, j * 2.0, k * 4.0]) @ directions
                x, y, z = np.rint((point - origin) / np.array(spacing)).astype(int)
                assert moved[z, y, x] == values[k, j, i]


def test_slightly_turned_axes_are_not_axes():
    turned = np.eye(3)
    turned[0, 1], turned[1, 0] = 1e-3, -1e-3
    assert not are_patient_axes(turned)
    turned[0, 1], turned[1, 0] = 1e-6, -1e-6
    assert are_patient_axes(turned)


def _pixels(values: bytes, syntax: str = ExplicitVRLittleEndian, **attributes: int) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.Rows, dataset.Columns = 1, 2
    dataset.BitsAllocated, dataset.BitsStored, dataset.PixelRepresentation = 16, 16, 0
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = values
    return dataset


@pytest.mark.parametrize(
    ("raw", "attributes", "expected"),
    [
        (b"\x01\x00\xff\xff", {}, [1, 65535]),
        (b"\x01\x00\xff\xff", {"PixelRepresentation": 1}, [1, -1]),
        # Twelve bits with an overlay above them, unsigned and signed.
        (b"\x01\x10\xff\xff", {"BitsStored": 12}, [1, 4095]),
        (b"\x01\x10\xff\x0f", {"BitsStored": 12, "PixelRepresentation": 1}, [1, -1]),
        (b"\x01\x02", {"BitsAllocated": 8, "BitsStored": 8}, [1, 2]),
    ],
)
def test_stored_values(raw, attributes, expected):
    assert stored_pixels(_pixels(raw, **attributes), 1, "x")[0, 0].tolist() == expected


def test_big_endian_values():
    dataset = _pixels(b"\x00\x01\x01\x00", ExplicitVRBigEndian)
    assert stored_pixels(dataset, 1, "x")[0, 0].tolist() == [1, 256]


def test_colour_and_odd_bits_are_refused():
    with pytest.raises(DicomError, match="got colour"):
        stored_pixels(_pixels(b"\x00" * 12, SamplesPerPixel=3), 1, "x")
    with pytest.raises(DicomError, match="got 64"):
        stored_pixels(_pixels(b"\x00" * 16, BitsAllocated=64), 1, "x")


@pytest.mark.parametrize("n_bits", [16, 32])
@pytest.mark.parametrize("highest", [1e-6, 0.7, 66.6666, 199.0])
def test_quantised_dose_is_within_half_a_step(n_bits, highest):
    values = np.linspace(0, highest, 1001, dtype=np.float32)
    stored, scaling = quantise(values, n_bits)
    assert len(str(scaling)) <= 16
    back = stored.astype(np.float64) * float(scaling)
    step = highest / (2**n_bits - 1)
    assert np.max(np.abs(back - values)) <= 0.5001 * step
    assert int(stored.max()) == 2**n_bits - 1


def test_zero_dose_stays_zero():
    stored, scaling = quantise(np.zeros(4, dtype=np.float32), 16)
    assert not stored.any()
    assert float(scaling) > 0
