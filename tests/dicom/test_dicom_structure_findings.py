"""What is not a closed axial polygon is left out aloud."""

import numpy as np
import pydicom
import pytest

from rerad import dicom
from rerad.core import Severity, StructureKind


def _change(path, change):
    dataset = pydicom.dcmread(path)
    change(dataset.ROIContourSequence)
    dataset.save_as(path)


def _codes(path, image=None):
    return {(f.where, f.code) for f in dicom.check_structure_set(path, image)}


def test_empty_structure_is_kept_and_reported(written):
    structures = dicom.read_structure_set(written.path("rs"))
    assert structures["SacralPlex_R"].is_empty
    assert _codes(written.path("rs")) == {("SacralPlex_R", "structure-empty")}


def test_contour_sequence_without_items_is_empty_too(tiny):
    _change(tiny.path("rs"), lambda rois: setattr(rois[1], "ContourSequence", []))
    assert dicom.read_structure_set(tiny.path("rs"))["GTV"].is_empty
    assert ("GTV", "structure-empty") in _codes(tiny.path("rs"))


def test_points_and_short_contours_are_left_out(tiny):
    def spoil(rois):
        point, short = rois[1].ContourSequence[:2]
        point.ContourGeometricType = "POINT"
        short.ContourData = short.ContourData[:6]

    _change(tiny.path("rs"), spoil)
    findings = dicom.check_structure_set(tiny.path("rs"), tiny.ct)
    texts = [f.text for f in findings if f.where == "GTV" and f.code == "contour-left-out"]
    assert texts == [
        "GTV: 1 contour(s) of type POINT left out",
        "GTV: 1 contour(s) with fewer than three points left out",
    ]
    assert len(dicom.read_structure_set(tiny.path("rs"))["GTV"].contours) == 4


def test_contour_out_of_the_axial_plane_empties_the_structure(tiny):
    def tilt(rois):
        data = np.array(rois[1].ContourSequence[0].ContourData, dtype=float)
        data[2] += 1.0
        rois[1].ContourSequence[0].ContourData = list(data)

    _change(tiny.path("rs"), tilt)
    assert dicom.read_structure_set(tiny.path("rs"))["GTV"].is_empty
    findings = dicom.check_structure_set(tiny.path("rs"))
    (serious,) = [f for f in findings if f.severity is Severity.SERIOUS]
    assert (serious.where, serious.code) == ("GTV", "contour-not-axial")


def test_skipped_slices_are_noted_with_the_image(tiny):
    def thin(rois):
        rois[1].ContourSequence = [
            c for c in rois[1].ContourSequence if abs(float(c.ContourData[2]) + 34) > 1
        ]

    _change(tiny.path("rs"), thin)
    assert dicom.read_structure_set(tiny.path("rs"))["GTV"].slice_thickness_mm == 6.0
    assert ("GTV", "structure-skips-slices") not in _codes(tiny.path("rs"))
    assert ("GTV", "structure-skips-slices") in _codes(tiny.path("rs"), tiny.ct)


def test_xor_contours_are_read_like_plain_ones(tiny):
    def mark(rois):
        for contour in rois[0].ContourSequence:
            contour.ContourGeometricType = "CLOSEDPLANAR_XOR"

    _change(tiny.path("rs"), mark)
    assert len(dicom.read_structure_set(tiny.path("rs"))["Ring"].contours) == 9


def test_repeated_name_is_serious(tiny):
    dataset = pydicom.dcmread(tiny.path("rs"))
    dataset.StructureSetROISequence[1].ROIName = "Ring"
    dataset.save_as(tiny.path("rs"))
    assert ("Ring", "structure-name-repeated") in _codes(tiny.path("rs"))


@pytest.mark.parametrize(
    ("written_type", "kind"),
    [
        ("PTV", StructureKind.PTV),
        ("AVOIDANCE", StructureKind.PRV),
        ("BOLUS", StructureKind.OTHER),
        ("", StructureKind.OTHER),
    ],
)
def test_interpreted_type(tiny, written_type, kind):
    dataset = pydicom.dcmread(tiny.path("rs"))
    dataset.RTROIObservationsSequence[0].RTROIInterpretedType = written_type
    dataset.save_as(tiny.path("rs"))
    assert dicom.read_structure_set(tiny.path("rs"))["Ring"].kind is kind


def test_contours_refer_to_the_slice_they_lie_on(written):
    dataset = pydicom.dcmread(written.path("rs"))
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        (item,) = contour.ContourImageSequence
        k = written.ct.instance_uids.index(item.ReferencedSOPInstanceUID)
        assert written.ct.grid.axes_mm[2][k] == pytest.approx(float(contour.ContourData[2]))
