"""Nothing of the patient's is left in any byte; what planning needs is."""

import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    EncapsulatedPDFStorage,
    ExplicitVRLittleEndian,
    RTBeamsTreatmentRecordStorage,
    SpatialRegistrationStorage,
    generate_uid,
)

from rerad import dicom
from rerad.dicom import PseudonymKey, deidentify_folder
from rerad.dicom.deidentify_rules import Rules, known_names, structure_name
from rerad.dicom.deidentify_times import moved_date, moved_datetime, moved_time, spellings
from rerad.dicom.treatment_records import read_treatment_records
from rerad.errors import DicomError, InputError

KEY = PseudonymKey(b"a secret of sixteen or more")
WORDS = ("Doe", "Jane", "TINY-1", "Smithson", "Hospital-XY", "ACC-4711", "SN-0815")


def spoil(path: Path) -> None:
    """Put the patient's words wherever people and systems put them."""
    dataset = pydicom.dcmread(path)
    dataset.ReferringPhysicianName = "Smithson^Bob"
    dataset.OperatorsName = "Smithson^Bob"
    dataset.InstitutionName = "Hospital-XY"
    dataset.StationName = "Hospital-XY"
    dataset.DeviceSerialNumber = "SN-0815"
    dataset.AccessionNumber = "ACC-4711"
    dataset.PatientComments = "Jane Doe was here on 20240305"
    dataset.StudyDescription = "Doe pelvis"
    dataset.SeriesDescription = "TINY-1 dose"
    dataset.PatientAddress = "Hospital-XY"
    dataset.OtherPatientIDs = "TINY-1"
    dataset.PatientWeight = "61.5"
    dataset.add_new(0x00091001, "LO", "private Doe")
    dataset.add_new(0x60003000, "OW", b"\0\0")
    item = Dataset()
    item.ScheduledProcedureStepDescription = "Doe"
    dataset.RequestAttributesSequence = Sequence([item])
    if "DoseComment" in dataset:
        dataset.DoseComment = f"{dataset.DoseComment} for Jane Doe"[:64]
    if "StructureSetROISequence" in dataset:
        dataset.StructureSetDescription = "drawn by Smithson"
        dataset.StructureSetROISequence[0].ROIDescription = "Jane"
    if "BeamSequence" in dataset:
        dataset.RTPlanLabel = "Doe plan"
        dataset.RTPlanDescription = "for Jane Doe"
        dataset.ApprovalStatus = "APPROVED"
        dataset.ReviewerName = "Smithson^Bob"
        dataset.ReviewDate = "20240305"
        dataset.BeamSequence[0].BeamName = "Doe AP"
        dataset.BeamSequence[0].TreatmentMachineName = "Hospital-XY"
    dataset.save_as(path)


def texts(dataset: Dataset, kinds: set[str]) -> set[str]:
    found: set[str] = set()
    for element in dataset.iterall():
        if element.VR in kinds and element.value:
            value = element.value
            found |= {str(v) for v in (value if element.VM > 1 else [value])}
    return found


@pytest.fixture
def spoiled(tiny):
    for path in tiny.folder.rglob("*.dcm"):
        spoil(path)
    return tiny


@pytest.fixture
def cleaned(spoiled, tmp_path):
    done = deidentify_folder(spoiled.folder, tmp_path / "out", KEY)
    return spoiled, done


def test_no_word_date_or_uid_of_the_input_is_in_any_byte(cleaned) -> None:
    spoiled, done = cleaned
    before = [pydicom.dcmread(p) for p in sorted(spoiled.folder.rglob("*.dcm"))]
    assert len(done.files) == len(before) == 18
    uids = {u for d in before for u in texts(d, {"UI"}) if not u.startswith("1.2.840.10008.")}
    dates = {t[:8] for d in before for t in texts(d, {"DA", "DT"})}
    assert len(uids) > 20
    assert "20240305" in dates
    forbidden = [w.encode() for w in (*WORDS, *uids, *dates)]
    for path in done.files:
        dataset = pydicom.dcmread(path)
        if "PixelData" in dataset:
            del dataset.PixelData
        text = path.read_bytes() if dataset.Modality in {"RTSTRUCT", "RTPLAN"} else b""
        text += dataset.to_json().encode() + str(path).encode()
        for word in forbidden:
            assert word.lower() not in text.lower(), (path.name, word)


def test_what_was_done_stands_in_every_object(cleaned) -> None:
    _, done = cleaned
    for path in done.files:
        dataset = pydicom.dcmread(path)
        assert dataset.PatientIdentityRemoved == "YES"
        assert dataset.LongitudinalTemporalInformationModified == "MODIFIED"
        codes = [c.CodeValue for c in dataset.DeidentificationMethodCodeSequence]
        assert codes == ["113100", "113105", "113107"]
        assert "BurnedInAnnotation" not in dataset
        assert dataset.PatientBirthDate == dataset.PatientSex == ""
        assert "PatientWeight" not in dataset
        assert not [e for e in dataset.iterall() if e.tag.is_private]
        assert dataset.get("ApprovalStatus", "UNAPPROVED") == "UNAPPROVED"


def test_uids_are_consistent_across_objects(cleaned) -> None:
    spoiled, done = cleaned
    scan = dicom.scan_folder(done.files[0].parents[1])
    before = dicom.scan_folder(spoiled.folder)
    assert sorted(i.kind for i in scan.items) == sorted(i.kind for i in before.items)
    assert not scan.skipped
    by_kind = {i.kind: i for i in scan.items}
    ct = by_kind["CT"]
    structures = dicom.read_structure_set(
        by_kind["RTSTRUCT"].paths[0], dicom.read_image(list(ct.paths))
    )
    original = dicom.read_structure_set(spoiled.path("rs"), dicom.read_image(spoiled.ct_paths))
    for new, old in zip(structures.structures, original.structures, strict=True):
        assert len(new.contours) == len(old.contours)
        for a, b in zip(new.contours, old.contours, strict=True):
            np.testing.assert_array_equal(a.points_mm, b.points_mm)


def test_plan_and_doses_still_open(cleaned) -> None:
    spoiled, done = cleaned
    plans = [p for p in done.files if p.name.startswith("RTPLAN")]
    uid = KEY.uid(pydicom.dcmread(spoiled.path("rp")).SOPInstanceUID)
    plan = next(plan for plan in map(dicom.read_plan, plans) if plan.instance_uid == uid)
    old = dicom.read_plan(spoiled.path("rp"))
    assert plan.n_fractions_planned == old.n_fractions_planned
    assert [b.meterset_mu for b in plan.beams] == [b.meterset_mu for b in old.beams]
    assert plan.machine_name == "MACHINE"
    assert [b.geometry.name for b in plan.beams] == [
        f"BEAM {n + 1}" for n in range(len(plan.beams))
    ]
    uid = KEY.uid(pydicom.dcmread(spoiled.path("rd_eqd2")).SOPInstanceUID)
    path = next(p for p in done.files if uid in p.name)
    eqd2 = dicom.read_effective_dose(path)
    assert eqd2.alpha_beta_gy == spoiled.eqd2.alpha_beta_gy
    old_dose = dicom.read_effective_dose(spoiled.path("rd_eqd2"))
    np.testing.assert_array_equal(eqd2.values, old_dose.values)


def test_intervals_survive_and_the_same_key_gives_the_same_again(spoiled, tmp_path, edit) -> None:
    edit(spoiled.path("rp_prior"), StudyDate="20190401", RTPlanDate="20190315")
    first = deidentify_folder(spoiled.folder, tmp_path / "a", KEY)
    second = deidentify_folder(spoiled.folder, tmp_path / "b", KEY)
    assert [p.name for p in first.files] == [p.name for p in second.files]

    def days(uid: str, done: dicom.DeidentifiedFolder, keyword: str) -> date:
        path = next(p for p in done.files if KEY.uid(uid) in p.name)
        text = str(pydicom.dcmread(path)[keyword].value)
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))

    plan = pydicom.dcmread(spoiled.path("rp"))
    prior = pydicom.dcmread(spoiled.path("rp_prior")).SOPInstanceUID
    old = date(2024, 3, 5) - date(2019, 4, 1)
    assert plan.StudyDate == "20240305"
    assert days(plan.SOPInstanceUID, first, "StudyDate") - days(prior, first, "StudyDate") == old
    assert days(prior, first, "StudyDate") - days(prior, first, "RTPlanDate") == date(
        2019, 4, 1
    ) - date(2019, 3, 15)
    other = deidentify_folder(spoiled.folder, tmp_path / "c", PseudonymKey(b"another secret key"))
    assert other.patients != first.patients
    assert not {p.name for p in other.files} & {p.name for p in first.files}


def moments(dataset: Dataset) -> dict[str, datetime]:
    """Return every date of an object with the time that belongs to it."""
    found = {}
    for element in dataset.iterall():
        name = element.keyword.removesuffix("Date")
        if element.VR == "DA" and element.value and dataset.get(f"{name}Time"):
            clock = str(dataset[f"{name}Time"].value).partition(".")[0]
            text = f"{element.value}{clock:0<6}"
            found[name] = datetime(
                int(text[:4]), int(text[4:6]), int(text[6:8]),
                int(text[8:10]), int(text[10:12]), int(text[12:14]),
            )  # fmt: skip
    return found


def test_every_moment_of_every_object_moves_by_the_same(spoiled, tmp_path, edit) -> None:
    edit(spoiled.path("rp"), RTPlanDate="20240304", RTPlanTime="233000")
    edit(spoiled.path("rs"), StructureSetDate="20240305", StructureSetTime="001000")
    edit(spoiled.path("rd"), InstanceCreationDate="20240305", InstanceCreationTime="001500.25")
    done = deidentify_folder(spoiled.folder, tmp_path / "out", KEY)
    new = {d.SOPInstanceUID: d for d in map(pydicom.dcmread, done.files)}
    by = KEY.offset("TINY-1")
    n_seen = 0
    for path in spoiled.folder.rglob("*.dcm"):
        old = pydicom.dcmread(path)
        moved = new[KEY.uid(old.SOPInstanceUID)]
        before, after = moments(old), moments(moved)
        for name, moment in after.items():
            assert moment == before[name] + by, (path.name, name)
            n_seen += 1
        assert not {t for t in texts(moved, {"TM"}) if t in texts(old, {"TM"})}, path.name
    assert n_seen >= 12


def test_suv_of_the_copy_is_that_of_the_original(spoiled, tmp_path) -> None:
    done = deidentify_folder(spoiled.folder, tmp_path / "out", KEY, keep_characteristics=True)
    new = dicom.read_image([p for p in done.files if p.name.startswith("PT_")]).pet
    old = dicom.read_image(sorted((spoiled.folder / "pt").iterdir())).pet
    assert new.injection_to_reference_s == old.injection_to_reference_s > 0
    assert new.injected_activity_bq == old.injected_activity_bq
    assert new.patient_weight_kg == old.patient_weight_kg == 61.5
    assert new.injected_at == old.injected_at + KEY.offset("TINY-1")


def foreign_object(path: Path, sop_class: str, **attributes: object) -> Dataset:
    """Write an object as another system sends it, with the patient's words in it."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = generate_uid()
    dataset.PatientID, dataset.PatientName = "TINY-1", "Doe^Jane"
    dataset.OperatorsName = "Smithson^Bob"
    dataset.StudyDate, dataset.StudyTime = "20240311", "101500"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return dataset


def item_of(**attributes: object) -> Dataset:
    made = Dataset()
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def test_registration_and_treatment_records_lead_to_the_copies(spoiled, tmp_path) -> None:
    """The whole set that a planned and treated patient has, beside images, plan and dose."""
    plan = pydicom.dcmread(spoiled.path("rp"))
    beams = {int(b.BeamNumber): b for b in plan.BeamSequence}
    frame, other = plan.FrameOfReferenceUID, generate_uid()
    shift = np.eye(4)
    shift[:3, 3] = 10.0, -20.0, 30.0
    foreign_object(
        spoiled.folder / "reg.dcm",
        SpatialRegistrationStorage,
        Modality="REG",
        FrameOfReferenceUID=frame,
        ContentDescription="Doe, Jane 05.03.2024",
        RegistrationSequence=Sequence(
            item_of(
                FrameOfReferenceUID=uid,
                FrameOfReferenceTransformationComment="for Jane",
                MatrixRegistrationSequence=Sequence(
                    [
                        item_of(
                            MatrixSequence=Sequence(
                                [
                                    item_of(
                                        FrameOfReferenceTransformationMatrixType="RIGID",
                                        FrameOfReferenceTransformationMatrix=list(matrix.ravel()),
                                    )
                                ]
                            )
                        )
                    ]
                ),
            )
            for uid, matrix in ((frame, np.eye(4)), (other, shift))
        ),
    )
    for fraction in (1, 2):
        foreign_object(
            spoiled.folder / f"record{fraction}.dcm",
            RTBeamsTreatmentRecordStorage,
            Modality="RTRECORD",
            TreatmentDate=f"2024031{fraction}",
            TreatmentTime="104500",
            ReferencedRTPlanSequence=Sequence(
                [item_of(ReferencedSOPInstanceUID=plan.SOPInstanceUID)]
            ),
            TreatmentMachineSequence=Sequence(
                [item_of(TreatmentMachineName="Hospital-XY", DeviceSerialNumber="SN-0815")]
            ),
            TreatmentSessionBeamSequence=Sequence(
                item_of(
                    ReferencedBeamNumber=number,
                    CurrentFractionNumber=fraction,
                    BeamName="Doe AP",
                    OperatorsName="Smithson^Bob",
                    TreatmentVerificationStatus="VERIFIED",
                    DeliveredPrimaryMeterset=100.0,
                )
                for number in beams
            ),
        )
    foreign_object(
        spoiled.folder / "report.dcm",
        EncapsulatedPDFStorage,
        Modality="DOC",
        BurnedInAnnotation="YES",
        EncapsulatedDocument=b"%PDF-1.4 Doe^Jane\n",
    )
    done = deidentify_folder(spoiled.folder, tmp_path / "out", KEY)
    assert [s.path.name for s in done.skipped] == ["report.dcm"]
    registration = dicom.read_registration(next(p for p in done.files if p.name.startswith("REG")))
    found = registration.between(KEY.uid(other), KEY.uid(frame))
    np.testing.assert_allclose(found.matrix, shift)
    records = [p for p in done.files if p.name.startswith("RTRECORD")]
    metersets = dict.fromkeys(beams, 100.0)
    given = read_treatment_records(records, metersets, KEY.uid(plan.SOPInstanceUID))
    assert (given.n_whole, given.partial) == (2, ())
    days = sorted(moments(pydicom.dcmread(p))["Treatment"] for p in records)
    assert days[1] - days[0] == timedelta(days=1)
    for path in (*records, *(p for p in done.files if p.name.startswith("REG"))):
        text = path.read_bytes().lower()
        for word in (*WORDS, "20240311", "05.03.2024", plan.SOPInstanceUID, frame, other):
            assert word.lower().encode() not in text, (path.name, word)


@pytest.mark.parametrize(
    "name",
    [
        "Patient^Photon",
        "Physical^Dose",
        "Treatment^Plan",
        "Beam^Machine",
        "Basic^Option",
        "Roi^Anon",
    ],
)
def test_a_patient_called_as_a_term_of_the_standard_does_not_spoil_her_plan(
    tiny, tmp_path, edit, name
) -> None:
    for path in tiny.folder.rglob("*.dcm"):
        edit(path, PatientName=name)
    done = deidentify_folder(tiny.folder, tmp_path / "out", KEY)
    scan = dicom.scan_folder(tmp_path / "out")
    assert not scan.skipped
    kinds = {item.kind: item for item in scan.items}
    assert dicom.read_structure_set(
        kinds["RTSTRUCT"].paths[0], dicom.read_image(list(kinds["CT"].paths))
    ).structures
    for path in done.files:
        if path.name.startswith("RTPLAN"):
            assert dicom.read_plan(path).beams
    doses = [path for path in done.files if path.name.startswith("RTDOSE")]
    eqd2 = KEY.uid(pydicom.dcmread(tiny.path("rd_eqd2")).SOPInstanceUID)
    for path in doses:
        read = dicom.read_effective_dose if eqd2 in path.name else dicom.read_dose
        assert read(path).values.max() > 0


def test_a_name_in_a_code_string_goes_all_the_same(tiny, tmp_path, edit) -> None:
    edit(tiny.path("rp"), PlanIntent="DOE", PatientName="Doe^Jane")
    done = deidentify_folder(tiny.folder, tmp_path / "out", KEY)
    uid = KEY.uid(pydicom.dcmread(tiny.path("rp")).SOPInstanceUID)
    path = next(p for p in done.files if uid in p.name)
    assert pydicom.dcmread(path).PlanIntent == ""


def test_characteristics_stay_on_request(spoiled, tmp_path) -> None:
    done = deidentify_folder(spoiled.folder, tmp_path / "out", KEY, keep_characteristics=True)
    dataset = pydicom.dcmread(done.files[0])
    assert (dataset.PatientSex, dataset.PatientWeight) == ("F", 61.5)
    codes = [c.CodeValue for c in dataset.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107", "113108"]


def test_what_cannot_be_cleaned_is_left_out_by_name(spoiled, tmp_path, edit) -> None:
    edit(spoiled.path("rd"), BurnedInAnnotation="YES")
    edit(spoiled.path("rp"), SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
    edit(spoiled.path("rd_eqd2"), PatientID="")
    (spoiled.folder / "letter.txt").write_text("Dear Dr Smithson", encoding="utf-8")
    done = deidentify_folder(spoiled.folder, tmp_path / "out", KEY)
    reasons = {s.path.name: s.reason for s in done.skipped}
    assert "text is burned into its pixels" in reasons["rd.dcm"]
    assert "Secondary Capture Image Storage: this kind" in reasons["rp.dcm"]
    assert "no Patient ID" in reasons["rd_eqd2.dcm"]
    assert "letter.txt" in reasons
    assert {f.code for f in done.findings} == {
        "pixels-not-inspected",
        "intervals-kept",
        "files-left-out",
    }


def test_a_word_that_is_left_stops_everything(spoiled, tmp_path, monkeypatch) -> None:
    from rerad.dicom import deidentify_rules

    monkeypatch.setattr(
        deidentify_rules, "KEPT_TEXTS", deidentify_rules.KEPT_TEXTS | {"StudyDescription"}
    )
    monkeypatch.setattr(
        deidentify_rules, "_replacement", lambda *a: a[2] if a[1] == "StudyDescription" else None
    )
    with pytest.raises(DicomError, match="StudyDescription still holds a name or number"):
        deidentify_folder(spoiled.folder, tmp_path / "out", KEY)
    assert not (tmp_path / "out").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["tiny"]


def test_refusals(tiny, tmp_path) -> None:
    with pytest.raises(DicomError, match=r"expected .* not to be there"):
        deidentify_folder(tiny.folder, tmp_path, KEY)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DicomError, match="holds no object that can be de-identified; there are 0"):
        deidentify_folder(tmp_path / "empty", tmp_path / "out", KEY)
    with pytest.raises(InputError, match="expected a key of at least 16 characters, got 5"):
        PseudonymKey(b"short")
    assert "secret" not in repr(KEY)


@pytest.mark.parametrize("name", ["CT", "PT", "MR", "RTSTRUCT", "RTPLAN", "RTDOSE"])
def test_dciodvfy_finds_no_error(cleaned, name) -> None:
    _, done = cleaned
    tool = Path(sys.executable).parent / "dciodvfy"
    if not tool.exists():
        pytest.skip("dciodvfy is not installed here")
    path = next(p for p in done.files if p.name.startswith(name))
    said = subprocess.run(
        [str(tool), str(path)], capture_output=True, text=True, check=False, timeout=60
    ).stderr
    assert [line for line in said.splitlines() if line.startswith("Error")] == []


MARKERS = {
    "UI": "1.2.3.4.5",
    "DA": "20240305",
    "DT": "20240305101112",
    "TM": "101112",
    "AS": "047Y",
    "OB": b"Doe!",
    "OW": b"Doe!",
    "UN": b"Doe!",
    "UR": "http://doe",
    "CS": "DOE",
}


def test_no_element_of_the_whole_dictionary_keeps_the_patient() -> None:
    """Every text, code, UID, date and binary element there is, one by one."""
    from pydicom.datadict import DicomDictionary

    from rerad.dicom.deidentify_rules import KEPT_BINARY, clean
    from rerad.dicom.deidentify_sequences import KEPT_SEQUENCES

    rules = Rules(KEY, "TINY-1", frozenset({"doe", "tiny-1"}), False)
    texts = {"AE", "LO", "LT", "PN", "SH", "ST", "UC", "UT"}
    n_checked = 0
    for tag, (kinds, *_, keyword) in DicomDictionary.items():
        kind = kinds.split(" or ")[0]
        if tag >> 16 < 8 or not keyword or kind not in {*MARKERS, *texts, "SQ"}:
            continue
        n_checked += 1
        dataset = Dataset()
        inner = Dataset()
        inner.PatientComments = "Doe"
        value = Sequence([inner]) if kind == "SQ" else MARKERS.get(kind, "Doe")
        dataset.add_new(tag, kind, value)
        clean(dataset, rules)
        if tag not in dataset:
            continue
        left = dataset[tag].value
        if kind == "SQ":
            assert keyword in KEPT_SEQUENCES
            assert len(left[0]) == 0, keyword
        elif kind in {"OB", "OW", "UN"}:
            assert keyword in KEPT_BINARY
        elif kind != "TM":
            assert "doe" not in str(left).lower(), keyword
            assert left != MARKERS.get(kind), keyword
    assert n_checked > 2500


def test_every_kept_sequence_is_one_of_the_standard() -> None:
    from pydicom.datadict import dictionary_VR

    from rerad.dicom.deidentify_rules import EMPTIED, KEPT_BINARY, KEPT_TEXTS, KEPT_TIMES, REMOVED
    from rerad.dicom.deidentify_sequences import KEPT_SEQUENCES

    assert {dictionary_VR(name) for name in KEPT_SEQUENCES} == {"SQ"}
    assert {dictionary_VR(name) for name in KEPT_TIMES} == {"TM"}
    for name in (*EMPTIED, *KEPT_BINARY, *KEPT_TEXTS, *REMOVED):
        assert dictionary_VR(name)


def test_names_that_everybody_uses_stay_and_others_get_numbers() -> None:
    rules = Rules(KEY, "P", frozenset({"mueller", "ann"}), False)
    assert {"rectum", "sacralplex_r", "femoral_head_l"} & known_names()
    for name in (
        "Rectum",
        "PTV_4500",
        "GTVp_5500",
        "zPTV_Ring",
        "BODY",
        "ctv_high_5000",
        "NervRoot_S1_R",
        "A_Iliac_Int_R",
        "VB_L5",
    ):
        assert structure_name(name, 3, rules) == name, name
    for name in (
        "Mueller",
        "PTV_Mueller",
        "Herz von Frau M",
        "roi1",
        "PTV for Ann",
        "NervRoot_Ann",
    ):
        assert structure_name(name, 3, rules) == "ROI 3", name
    assert rules.is_safe("PLANNED")
    assert not rules.is_safe("for Ann")


def test_moments_move_as_a_whole_and_nonsense_goes() -> None:
    by = timedelta(days=-30, hours=-3)
    assert moved_date("20240305", "", by) == "20240204"
    assert moved_date("20240305", "025959.9", by) == "20240203"
    assert moved_date("2024.03.05", "03", by) == "20240204"
    assert moved_time("025959.9", by) == "235959.9"
    assert moved_time("02:59", by) == "2359"
    assert moved_time("14", by) == "11"
    assert moved_datetime("20240305011112.123456+0100", by) == "20240203221112.123456+0100"
    assert moved_datetime("20240305", by) == "20240204"
    for nonsense in ("March", "", "2024", "20241305", "+1", "99990000"):
        assert moved_date(nonsense, "", by) == moved_datetime(nonsense, by) == ""
    for nonsense in ("noon", "", "+101", "251010", "1", "10.5", "10²1"):
        assert moved_time(nonsense, by) == ""
    assert {"20240305", "2024-03-05", "05.03.2024", "03/05/2024"} <= spellings("20240305")
    assert KEY.uid("1.2.840.10008.5.1.4.1.1.2") == "1.2.840.10008.5.1.4.1.1.2"
    assert KEY.uid("1.2.3").startswith("2.25.")
    assert len(KEY.uid("1.2.3")) <= 64


def test_offsets_hide_day_and_time_of_day() -> None:
    moves = [KEY.offset(f"patient {n}") for n in range(300)]
    assert all(30 * 365 <= -by.total_seconds() / 86400 <= 60 * 366 for by in moves)
    clocks = [round(by.total_seconds()) % 86400 for by in moves]
    signed = [clock if clock < 43200 else clock - 86400 for clock in clocks]
    assert all(900 <= abs(clock) < 6 * 3600 for clock in signed)
    assert min(signed) < -5 * 3600
    assert max(signed) > 5 * 3600


def test_the_command_says_what_it_did_and_what_to_weigh(spoiled, tmp_path) -> None:
    import json

    from typer.testing import CliRunner

    from rerad.cli.main import app

    key = tmp_path / "key"
    key.write_text("a secret of sixteen or more\n", encoding="utf-8")
    words = ["deidentify", str(spoiled.folder), "--key-file", str(key), "--json"]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    assert document["patients"] == [KEY.patient_id("TINY-1")]
    assert len(document["files"]) == 18
    again = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "out")])
    assert again.exit_code == 1
    assert "not to be there" in json.loads(again.stdout)["error"]
