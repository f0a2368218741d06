"""Bad input: one clear sentence each, and nothing guessed."""

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import JPEGLosslessSV1

from rerad import dicom
from rerad.errors import DicomError, FrameMismatchError, ReradError


def _refuses(call, *arguments, match: str, error: type[ReradError] = DicomError) -> None:
    with pytest.raises(error, match=match) as caught:
        call(*arguments)
    text = str(caught.value)
    assert "\n" not in text
    assert 20 < len(text) < 400
    assert "Doe" not in text


def test_no_files():
    _refuses(dicom.read_image, [], match="got none")


def test_absent_file(tmp_path):
    _refuses(dicom.read_dose, tmp_path / "no.dcm", match="found none; check the path")


def test_not_dicom(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("physicist's notes " * 30)
    _refuses(dicom.read_plan, path, match="it is not DICOM")


def test_missing_slice_names_the_gap(tiny):
    paths = tiny.ct_paths
    del paths[2]
    _refuses(dicom.read_image, paths, match=r"1 are missing between z=-37.00 and z=-31.00 mm")


def test_uneven_slices(tiny, edit):
    x, y, z = pydicom.dcmread(tiny.ct_paths[2]).ImagePositionPatient
    edit(tiny.ct_paths[2], ImagePositionPatient=[x, y, float(z) + 0.5])
    _refuses(dicom.read_image, tiny.ct_paths, match="steps of 2.500 to 3.500 mm")


def test_doubled_slice(tiny):
    copy = tiny.folder / "copy.dcm"
    shutil.copy(tiny.ct_paths[3], copy)
    _refuses(dicom.read_image, [*tiny.ct_paths, copy], match="got two at -31.00 mm")


def test_mixed_series(tiny, edit):
    edit(tiny.ct_paths[0], SeriesInstanceUID="1.2.3")
    _refuses(dicom.read_image, tiny.ct_paths, match=r"got 2: .* \(5 files\), 1.2.3 \(1 files\)")


def test_mixed_modalities(tiny):
    mixed = [*tiny.ct_paths, *(tiny.folder / "mr").iterdir()]
    _refuses(dicom.read_image, mixed, match="got files of CT, MR")


def test_two_patients(tiny, edit):
    edit(tiny.ct_paths[0], PatientID="OTHER")
    _refuses(dicom.read_image, tiny.ct_paths, match="got 2 patients")


def test_mixed_frames(tiny, edit):
    edit(tiny.ct_paths[0], FrameOfReferenceUID="1.2.3")
    _refuses(dicom.read_image, tiny.ct_paths, match="got 2", error=FrameMismatchError)


def test_no_frame(tiny, edit):
    for path in tiny.ct_paths:
        edit(path, FrameOfReferenceUID=None)
    _refuses(dicom.read_image, tiny.ct_paths, match="Frame of Reference UID, found none")


@pytest.mark.parametrize(
    ("keyword", "value", "match"),
    [
        ("PixelSpacing", [2.0, 2.25], "expected pixel spacing"),
        ("ImageOrientationPatient", [-1, 0, 0, 0, -1, 0], "expected image orientation"),
        ("PatientPosition", "FFS", "expected patient position"),
        ("Rows", 10, "expected rows and columns"),
        ("PixelSpacing", None, "absent or incomplete"),
        ("ImagePositionPatient", None, "absent or incomplete"),
    ],
)
def test_one_slice_differs(tiny, edit, keyword, value, match):
    edit(tiny.ct_paths[4], **{keyword: value})
    _refuses(dicom.read_image, tiny.ct_paths, match=match)


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_ct_without_rescaling(tiny, edit, keyword):
    edit(tiny.ct_paths[0], **{keyword: None})
    _refuses(dicom.read_image, tiny.ct_paths, match="Rescale Slope and Intercept.*found none")


def test_ct_that_is_not_in_hu(tiny, edit):
    edit(tiny.ct_paths[0], RescaleType="US")
    _refuses(dicom.read_image, tiny.ct_paths, match="expected CT values in HU, got .* US")


@pytest.mark.parametrize("units", ["CPS", "PCNT", "MGMINML"])
def test_pet_in_other_units(tiny, edit, units):
    paths = sorted((tiny.folder / "pt").iterdir())
    for path in paths:
        edit(path, Units=units)
    _refuses(dicom.read_image, paths, match=f"expected PET units BQML, .* got {units}; ")


def test_pet_in_two_units(tiny, edit):
    paths = sorted((tiny.folder / "pt").iterdir())
    edit(paths[1], Units="GML")
    _refuses(dicom.read_image, paths, match="expected values in Bq/ml as in PT_0001.dcm, got g/ml")


def test_suv_of_an_unknown_kind(tiny, edit):
    paths = sorted((tiny.folder / "pt").iterdir())
    for path in paths:
        edit(path, Units="GML", SUVType="IBW")
    _refuses(dicom.read_image, paths, match="expected SUV Type BW, .* got IBW")


def test_compressed_without_decoder(tiny):
    path = tiny.ct_paths[0]
    dataset = pydicom.dcmread(path)
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8 not really a picture"])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    dataset.save_as(path)
    _refuses(dicom.read_image, tiny.ct_paths, match="got JPEG Lossless.*export .* uncompressed")


def test_enhanced_ct(tiny, edit):
    edit(tiny.ct_paths[0], SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1")
    _refuses(dicom.read_image, tiny.ct_paths, match="Enhanced CT")


def test_several_frames_in_a_file(tiny, edit):
    edit(tiny.ct_paths[0], NumberOfFrames=2)
    _refuses(dicom.read_image, tiny.ct_paths, match="several frames")


def test_single_slice_without_thickness(tiny, edit):
    edit(tiny.ct_paths[0], SliceThickness=None)
    _refuses(dicom.read_image, tiny.ct_paths[:1], match="without slice thickness")


def test_another_object_for_an_image(tiny):
    _refuses(dicom.read_image, [tiny.path("rs")], match="got RT Structure Set Storage")


@pytest.mark.parametrize("name", ["ct/CT_0001", "rs", "rp", "rd"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_truncated_file(tiny, name, share):
    path = tiny.path(name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    read = {
        "ct/CT_0001": lambda: dicom.read_image(tiny.ct_paths),
        "rs": lambda: dicom.read_structure_set(path),
        "rp": lambda: dicom.read_plan(path),
        "rd": lambda: dicom.read_dose(path),
    }[name]
    _refuses(read, match="export")


@pytest.mark.parametrize("name", ["ct/CT_0001", "rs", "rp", "rd"])
def test_a_file_cut_anywhere_is_refused_or_lacks_only_what_may_be_absent(tiny, name):
    read = {
        "ct/CT_0001": lambda path: dicom.read_image([path]),
        "rs": dicom.read_structure_set,
        "rp": dicom.read_plan,
        "rd": dicom.read_dose,
    }[name]
    whole = tiny.path(name).read_bytes()
    optional = _starts_of_optional_elements(tiny.path(name))
    path = tiny.folder / "cut.dcm"
    for n_bytes in {*range(0, len(whole), 37), *range(len(whole) - 60, len(whole)), *optional}:
        path.write_bytes(whole[:n_bytes])
        if n_bytes in optional:
            read(path)
            continue
        with pytest.raises(ReradError):
            read(path)


def _starts_of_optional_elements(path: Path) -> set[int]:
    """Where elements begin without which a file is still whole as far as anyone can tell."""
    dataset = pydicom.dcmread(path)
    optional = ("RTROIObservationsSequence", "ApprovalStatus", "ReferencedStructureSetSequence")
    elements = [dataset.get_item(keyword) for keyword in optional if keyword in dataset]
    long_header = {"SQ"}
    return {e.value_tell - (12 if e.VR in long_header else 8) for e in elements}


@pytest.mark.parametrize(
    ("keyword", "value", "match"),
    [
        ("DoseUnits", "RELATIVE", "a relative dose has no value in Gy"),
        ("DoseUnits", None, "got none"),
        ("DoseType", "EFFECTIVE", "weighted by a biological model"),
        ("DoseType", "ERROR", "an uncertainty, not a dose"),
        ("DoseType", None, "export the dose with its type stated"),
        ("DoseSummationType", "FRACTION", "the dose of one fraction"),
        ("DoseSummationType", "BEAM", "the dose of one beam"),
        ("DoseSummationType", "MULTI_PLAN", "each plan alone"),
        ("DoseSummationType", "CONTROL_POINT", "one control point"),
        ("DoseSummationType", None, "expected DoseSummationType PLAN, got none"),
        ("DoseGridScaling", None, "Dose Grid Scaling above 0"),
        ("DoseGridScaling", 0, "Dose Grid Scaling above 0"),
        ("FrameOfReferenceUID", None, "Frame of Reference UID, found none"),
        ("GridFrameOffsetVector", [0, 2.5, 5], "expected 4 values"),
        ("GridFrameOffsetVector", [0, 2.5, 5, 9], "evenly spaced dose planes"),
        ("GridFrameOffsetVector", [3, 5.5, 8, 10.5], "begin with 0 or with z"),
        ("ImageOrientationPatient", [1, 0, 0, 0, 0.98, 0.199], "along the patient axes"),
        ("ImagePositionPatient", None, "absent or incomplete"),
        ("NumberOfFrames", 5, "bytes of pixel data"),
    ],
)
def test_dose_that_must_not_be_used(tiny, edit, keyword, value, match):
    edit(tiny.path("rd"), **{keyword: value})
    _refuses(dicom.read_dose, tiny.path("rd"), match=match)


def test_plan_offered_as_dose(tiny):
    _refuses(dicom.read_dose, tiny.path("rp"), match="expected an RTDOSE, got RTPLAN")


def test_dose_offered_as_plan_and_as_structures(tiny):
    _refuses(dicom.read_plan, tiny.path("rd"), match="expected an RTPLAN, got RTDOSE")
    _refuses(dicom.read_structure_set, tiny.path("rd"), match="expected an RTSTRUCT, got RTDOSE")


def _spoil_plan(path: Path, change) -> None:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (
            lambda d: setattr(d.FractionGroupSequence[0], "NumberOfFractionsPlanned", None),
            "number of fractions",
        ),
        (
            lambda d: d.FractionGroupSequence.append(d.FractionGroupSequence[0]),
            "expected one fraction group, got 2",
        ),
        (
            lambda d: setattr(d.FractionGroupSequence[0], "NumberOfBrachyApplicationSetups", 1),
            "brachytherapy",
        ),
        (
            lambda d: delattr(
                d.FractionGroupSequence[0].ReferencedBeamSequence[0], "BeamMeterset"
            ),
            "expected monitor units",
        ),
        (
            lambda d: setattr(d.BeamSequence[0], "RadiationType", "ELECTRON"),
            "expected photons, got ELECTRON",
        ),
        (
            lambda d: setattr(
                d.BeamSequence[1].ControlPointSequence[1], "PatientSupportAngle", 10
            ),
            "expected a couch at rest",
        ),
        (
            lambda d: setattr(
                d.BeamSequence[1].ControlPointSequence[1], "BeamLimitingDeviceAngle", 10
            ),
            "expected a collimator at rest",
        ),
        (
            lambda d: setattr(
                d.BeamSequence[0].ControlPointSequence[1], "IsocenterPosition", [0, 0, 9]
            ),
            "expected one isocentre",
        ),
        (
            lambda d: setattr(
                d.BeamSequence[0].BeamLimitingDeviceSequence[2],
                "RTBeamLimitingDeviceType",
                "MLCX1",
            ),
            "two layers of leaves",
        ),
        (lambda d: delattr(d.PatientSetupSequence[0], "PatientPosition"), "Patient Position"),
        (lambda d: delattr(d, "BeamSequence"), "expected treatment beams"),
    ],
)
def test_plan_that_cannot_be_said(tiny, change, match):
    _spoil_plan(tiny.path("rp"), change)
    _refuses(dicom.read_plan, tiny.path("rp"), match=match)


def test_single_plane_structures_need_their_image(tiny):
    def keep_seed(dataset):
        for keyword in (
            "StructureSetROISequence",
            "ROIContourSequence",
            "RTROIObservationsSequence",
        ):
            setattr(dataset, keyword, [getattr(dataset, keyword)[2]])

    _spoil_plan(tiny.path("rs"), keep_seed)
    _refuses(dicom.read_structure_set, tiny.path("rs"), match="together with its image")
    assert dicom.read_structure_set(tiny.path("rs"), tiny.ct)["Seed"].slice_thickness_mm == 3.0


def test_failed_write_leaves_nothing(tmp_path, tiny):
    from dataclasses import replace

    patient = dicom.read_patient(tiny.path("rs"))
    long = replace(tiny.structures.structures[0], name="x" * 65)
    with pytest.raises(DicomError, match="at most 64 characters, got 65"):
        dicom.write_structure_set(
            replace(tiny.structures, structures=(long,)),
            tiny.ct,
            patient,
            tmp_path / "out" / "rs.dcm",
            study=tiny.header,
        )
    with pytest.raises(DicomError, match="at most 16 characters"):
        dicom.write_plan(
            replace(tiny.plan, label="a label that is long"),
            tiny.machine,
            patient,
            tmp_path / "out" / "rp.dcm",
            study=tiny.header,
            image=tiny.ct,
        )
    with pytest.raises(DicomError, match="write them first"):
        dicom.write_dose(
            tiny.dose,
            patient,
            tmp_path / "out" / "rd.dcm",
            study=tiny.header,
            plans=[replace(tiny.plan, instance_uid="")],
        )
    bad = replace(tiny.pet, pet=None)
    with pytest.raises(DicomError, match="a PET needs its acquisition facts"):
        dicom.write_image(bad, patient, tmp_path / "out" / "pt", study=tiny.header)
    assert [p for p in tmp_path.rglob("*") if p.is_file() and "tiny" not in p.parts] == []


def test_interrupted_write_leaves_the_old_file(tmp_path, tiny, monkeypatch):
    before = tiny.path("rd").read_bytes()

    def fail(*_args, **_kwargs):
        raise ValueError("disk says no")

    monkeypatch.setattr(pydicom.Dataset, "save_as", fail)
    with pytest.raises(DicomError, match="nothing was written"):
        dicom.write_dose(
            tiny.dose,
            dicom.read_patient(tiny.path("rs")),
            tiny.path("rd"),
            study=tiny.header,
            plans=[tiny.plan],
        )
    assert tiny.path("rd").read_bytes() == before
    assert list(tiny.folder.glob(".*")) == []


def test_dose_in_another_frame_than_its_plan(tmp_path, tiny):
    from dataclasses import replace

    moved = replace(tiny.dose, grid=replace(tiny.dose.grid, frame_uid="1.2.3"))
    with pytest.raises(FrameMismatchError, match="in the frame of its plan"):
        dicom.write_dose(
            moved,
            dicom.read_patient(tiny.path("rs")),
            tmp_path / "rd.dcm",
            study=tiny.header,
            plans=[tiny.plan],
        )


def test_file_without_meta_information_is_read(tiny):
    path = tiny.path("rd")
    dataset = pydicom.dcmread(path)
    expected = dicom.read_dose(path)
    del dataset.file_meta
    dataset.preamble = None
    pydicom.dcmwrite(
        path, dataset, implicit_vr=True, little_endian=True, enforce_file_format=False
    )
    assert path.read_bytes()[128:132] != b"DICM"
    read = dicom.read_dose(path)
    np.testing.assert_array_equal(read.values, expected.values)
    assert read.instance_uid == expected.instance_uid
