"""What is written is read back as it was."""

from dataclasses import replace

import numpy as np
import pydicom
import pytest
from pydicom.uid import RLELossless

from rerad import dicom
from rerad.core import Dose, DoseQuantity, Grid, Image, ImageUnit, Modality
from rerad.errors import DicomError, FrameMismatchError, InputError


def test_ct_returns_exactly(written):
    read = dicom.read_image(written.ct_paths)
    assert read.values.dtype == np.int16
    np.testing.assert_array_equal(read.values, written.ct.values)
    assert read.grid.has_same_voxels(written.ct.grid)
    assert read.grid.spacing_mm == written.ct.grid.spacing_mm
    assert read.instance_uids == written.ct.instance_uids
    assert (read.series_uid, read.study_uid) == (written.ct.series_uid, written.ct.study_uid)
    assert read.description == "planning CT"
    assert read.acquired == written.header.study_date


def test_order_of_files_does_not_matter(written):
    read = dicom.read_image(written.ct_paths[::-1])
    np.testing.assert_array_equal(read.values, written.ct.values)
    assert read.instance_uids == written.ct.instance_uids


def test_ct_of_fractional_hu_is_float32_within_a_step(tmp_path, written):
    exact = (written.ct.values + 0.25).astype(np.float32)
    image = replace(written.ct, values=exact)
    dicom.write_image(
        image, dicom.read_patient(written.path("rs")), tmp_path / "ct", study=written.header
    )
    read = dicom.read_image(sorted((tmp_path / "ct").iterdir()))
    assert read.values.dtype == np.float32
    step = (np.ptp(exact) + 2) / 65534
    assert np.max(np.abs(read.values - exact)) <= 0.51 * step


def test_pet_returns_within_half_a_step_with_its_facts(written):
    read = dicom.read_image(sorted((written.folder / "pt").iterdir()))
    assert (read.modality, read.unit) == (Modality.PET, ImageUnit.BQML)
    step = float(written.pet.values.max()) / 32767
    assert np.max(np.abs(read.values - written.pet.values)) <= 0.51 * step
    facts = (
        "patient_weight_kg",
        "injected_activity_bq",
        "half_life_s",
        "injection_to_reference_s",
        "decay_correction",
        "radiopharmaceutical",
        "patient_height_m",
    )
    for fact in facts:
        assert getattr(read.pet, fact) == getattr(written.pet.pet, fact), fact
    assert read.pet.conflicts == ()
    assert read.patient_position is written.pet.patient_position


def test_mr_returns_exactly(written):
    read = dicom.read_image(sorted((written.folder / "mr").iterdir()))
    assert (read.modality, read.unit) == (Modality.MR, ImageUnit.ARBITRARY)
    np.testing.assert_array_equal(read.values, written.mr.values)


def test_image_in_another_unit_is_not_written(tmp_path, written):
    density = replace(written.ct, unit=ImageUnit.DENSITY)
    with pytest.raises(InputError, match="expected CT values in HU, got g/cm3"):
        dicom.write_image(
            density, dicom.read_patient(written.path("rs")), tmp_path / "x", study=written.header
        )
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("with_image", [True, False])
def test_structures_return_with_holes_islands_and_sub_voxel_contours(written, with_image):
    read = dicom.read_structure_set(written.path("rs"), written.ct if with_image else None)
    assert read.names == written.structures.names
    assert read.label == written.structures.label
    assert read.instance_uid == written.structures.instance_uid
    assert read.referenced_series_uid == written.ct.series_uid
    for mine, theirs in zip(read.structures, written.structures.structures, strict=True):
        assert mine.kind is theirs.kind
        assert mine.frame_uid == theirs.frame_uid
        assert mine.color == theirs.color
        assert mine.slice_thickness_mm == pytest.approx(3.0, abs=1e-6)
        assert len(mine.contours) == len(theirs.contours)
        for got, wanted in zip(mine.contours, theirs.contours, strict=True):
            assert got.z_mm == pytest.approx(wanted.z_mm, abs=1e-4)
            np.testing.assert_allclose(got.points_mm, wanted.points_mm, atol=1e-4)


def test_structures_in_another_frame_than_the_image_are_refused(written):
    grid = replace(written.ct.grid, frame_uid="1.2.3")
    with pytest.raises(FrameMismatchError, match="register the two"):
        dicom.read_structure_set(written.path("rs"), replace(written.ct, grid=grid))


def test_plan_returns_with_every_control_point(written):
    read = dicom.read_plan(written.path("rp"))
    assert read.label == "RSCH_TINY"
    assert read.approval == "UNAPPROVED"
    for field in (
        "frame_uid",
        "patient_position",
        "machine_name",
        "n_fractions_planned",
        "prescriptions",
        "instance_uid",
        "structure_set_uid",
        "date",
    ):
        assert getattr(read, field) == getattr(written.plan, field), field
    for mine, theirs in zip(read.beams, written.plan.beams, strict=True):
        assert (mine.number, mine.geometry) == (theirs.number, theirs.geometry)
        assert mine.meterset_mu == pytest.approx(theirs.meterset_mu)
        for got, wanted in zip(mine.control_points, theirs.control_points, strict=True):
            assert got.cumulative_weight == pytest.approx(wanted.cumulative_weight, abs=1e-9)
            assert (got.jaw_x_mm, got.jaw_y_mm) == (wanted.jaw_x_mm, wanted.jaw_y_mm)
            assert got.gantry_angle_deg == wanted.gantry_angle_deg
            np.testing.assert_allclose(got.leaf_positions_mm, wanted.leaf_positions_mm, atol=1e-4)


@pytest.mark.parametrize("n_bits", [16, 32])
def test_dose_on_its_own_grid_returns_within_half_a_step(tmp_path, written, n_bits):
    rng = np.random.default_rng(1)
    grid = Grid((5, 8, 11), (-20.3, -15.7, -38.1), (2.5, 3.0, 4.0), written.ct.grid.frame_uid)
    dose = Dose((rng.random(grid.shape) * 80).astype(np.float32), grid)
    path = tmp_path / "dose.dcm"
    wrote = dicom.write_dose(
        dose,
        dicom.read_patient(written.path("rs")),
        path,
        study=written.header,
        plans=[written.plan],
        n_bits=n_bits,
    )
    read = dicom.read_dose(path)
    assert read.instance_uid == wrote.instance_uid != ""
    assert read.grid.has_same_voxels(grid)
    step = dose.max_gy / (2**n_bits - 1)
    assert np.max(np.abs(read.values - dose.values)) <= 0.51 * step + 4e-6


def test_eqd2_returns_as_eqd2_and_never_as_physical(written):
    read = dicom.read_effective_dose(written.path("rd_eqd2"))
    assert (read.quantity, read.alpha_beta_gy) == (DoseQuantity.EQD2, 2.5)
    assert np.max(np.abs(read.values - written.eqd2.values)) < 1e-3
    with pytest.raises(DicomError, match="expected DoseType PHYSICAL, got EFFECTIVE"):
        dicom.read_dose(written.path("rd_eqd2"))
    with pytest.raises(DicomError, match="compute EQD2 from the physical dose"):
        dicom.read_effective_dose(written.path("rd"))


def test_unknown_dose_is_refused_or_comes_back_unknown(tmp_path, written):
    values = written.dose.values.copy()
    values[0, 0, :3] = np.nan
    dose = replace(written.dose, values=values)
    patient = dicom.read_patient(written.path("rs"))
    path = tmp_path / "dose.dcm"
    common = {"study": written.header, "plans": [written.plan]}
    with pytest.raises(DicomError, match="3 of 252 voxels have no known dose"):
        dicom.write_dose(dose, patient, path, **common)
    assert list(tmp_path.iterdir()) == []
    dicom.write_dose(dose, patient, path, unknown_as_zero=True, **common)
    read = dicom.read_dose(path)
    np.testing.assert_array_equal(np.isnan(read.values), np.isnan(values))


def test_patient_returns(written):
    patient = dicom.read_patient(written.path("rd"))
    assert (patient.patient_id, patient.name, patient.sex) == ("TINY-1", "Doe^Jane", "F")
    assert patient.birth_date.isoformat() == "1970-02-03"


def test_same_seed_writes_the_same_bytes(tmp_path, write_again):
    first = write_again(tmp_path / "a", seed="s")
    second = write_again(tmp_path / "b", seed="s")
    third = write_again(tmp_path / "c", seed=None)
    files = sorted(p.relative_to(first.folder) for p in first.folder.rglob("*.dcm"))
    assert len(files) == 6 + 3 + 3 + 6
    for name in files:
        assert (first.folder / name).read_bytes() == (second.folder / name).read_bytes()
    assert third.ct.series_uid != first.ct.series_uid


def test_a_folder_with_files_is_not_written_into(tiny):
    before = sorted(tiny.folder.rglob("*"))
    with pytest.raises(DicomError, match="to be absent or empty"):
        dicom.write_image(
            tiny.ct, dicom.read_patient(tiny.path("rs")), tiny.folder / "ct", study=tiny.header
        )
    assert sorted(tiny.folder.rglob("*")) == before


def test_image_without_instance_uids_cannot_be_drawn_on(tmp_path, written):
    image = Image(written.ct.values, written.ct.grid, Modality.CT, ImageUnit.HU)
    with pytest.raises(DicomError, match="write it first"):
        dicom.write_structure_set(
            written.structures,
            image,
            dicom.read_patient(written.path("rs")),
            tmp_path / "rs.dcm",
            study=written.header,
        )


def test_compressed_slices_are_read_where_a_decoder_is(tiny):
    expected = tiny.ct.values
    for path in tiny.ct_paths:
        dataset = pydicom.dcmread(path)
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.save_as(path)
    read = dicom.read_image(tiny.ct_paths)
    np.testing.assert_array_equal(read.values, expected)
    assert dicom.scan_folder(tiny.folder / "ct").items[0].problems == ()


def test_pet_of_unknown_correction_is_not_written(tmp_path, written):
    facts = replace(written.pet.pet, decay_correction="")
    with pytest.raises(DicomError, match="expected decay correction START, ADMIN or NONE"):
        dicom.write_image(
            replace(written.pet, pet=facts),
            dicom.read_patient(written.path("rs")),
            tmp_path / "pt",
            study=written.header,
        )
    assert list(tmp_path.iterdir()) == []
