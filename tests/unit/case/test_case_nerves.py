"""The table of nerves: read strictly, written back, refused by name before anything is planned."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from rerad import dicom
from rerad.case import check_case, import_folder, read_case, write_case
from rerad.case.load import load_case
from rerad.case.nerve_schema import NervesTable, clicks_from_words, nerves_of
from rerad.case.nerve_study import NerveScan, NerveStudy, require_nerves
from rerad.case.pet_proposals import outline_uptake, proposals_of
from rerad.case.pet_schema import PetTable, facts_of, pet_table_of
from rerad.case.run import scan_of
from rerad.core import Image, ImageUnit, Modality, Patient, PetAcquisition
from rerad.errors import InputError, MissingDataError

WHOLE = {
    "ct_fwhm_mm": [0.8, 0.8, 0.0],
    "pet_fwhm_mm": [6.0, 6.0, 6.0],
    "pet_fwhm_sd_mm": 0.5,
    "roots": {"L5_R": "SacralPlex_R"},
    "references": {"blood pool": ["A_Iliac_Cmn_R", "Aorta"]},
    "clicks": {"L4_R": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.5]]},
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ct_fwhm_mm": None}, r"\[nerves\] ct_fwhm_mm"),
        ({"ct_fwhm_mm": [1.0, 1.0]}, r"\[nerves\] ct_fwhm_mm\.2: is missing"),
        ({"pet_fwhm_mm": [6.0, -6.0, 6.0]}, r"\[nerves\] pet_fwhm_mm\.1: .*got -6"),
        ({"fwhm": 3}, r"\[nerves\] fwhm: unknown key, expected ct_fwhm_mm"),
        ({"track_on": "US"}, "'CT' or 'MR', got 'US'"),
        ({"references": {"bone": ["Sacrum"]}}, r"references\.bone: .*'blood pool'.*got 'bone'"),
        ({"clicks": {"L5_R": [[1.0, 2.0, 3.0]]}}, r"clicks\.L5_R: .*at least 2"),
        ({"clicks": {"L5_R": [[1.0, 2.0], [3.0, 4.0]]}}, r"clicks\.L5_R\.0\.2: is missing"),
        ({"clicks": {"L5_R": [[1.0, 2.0, float("nan")]] * 2}}, r"clicks\.L5_R\.0\.2"),
    ],
)
def test_what_is_wrong_is_named(change, said):
    with pytest.raises(InputError, match=said):
        nerves_of({**WHOLE, **change})


def test_points_of_the_command_line():
    found = clicks_from_words(["L5_R=1,2,3", "L5_R=4,5,-6.5"])
    assert found == {"L5_R": ((1.0, 2.0, 3.0), (4.0, 5.0, -6.5))}
    for wrong in ("L5_R", "L5_R=1,2", "=1,2,3", "L5_R=a,b,c", "L5_R=1,2,3,4", "L5_R=nan,1,2"):
        with pytest.raises(InputError, match="expected NAME=x,y,z in mm"):
            clicks_from_words([wrong])
    with pytest.raises(InputError, match="--click L5_R: expected two points or more, got 1"):
        clicks_from_words(["L5_R=1,2,3"])


def test_the_case_file_keeps_them(tiny_case):
    """Roots, references and clicks come back as they were written."""
    file = read_case(tiny_case)
    assert file.nerves is None
    path = tiny_case / "case.toml"
    write_case(file.model_copy(update={"nerves": nerves_of(WHOLE)}), path)
    assert "[nerves.clicks]" in path.read_text(encoding="utf-8")
    again = read_case(tiny_case)
    assert again.nerves == nerves_of(WHOLE)
    assert again.model_copy(update={"nerves": None}) == file


def test_a_case_that_names_what_is_not_there_is_refused_when_checked(tiny_case):
    file = read_case(tiny_case)
    table = NervesTable(ct_fwhm_mm=(1, 1, 0), roots={"L5_R": "NervRoot_L5_R"})
    write_case(file.model_copy(update={"nerves": table}), tiny_case / "case.toml")
    with pytest.raises(MissingDataError, match="NervRoot_L5_R"):
        check_case(tiny_case)


def test_a_pet_needs_its_point_spread_and_mr_clicks_an_mr(tiny_case):
    scan = scan_of(check_case(tiny_case).loaded)
    table = NervesTable(ct_fwhm_mm=(1, 1, 0), roots={"L5_R": "SacralPlex_R"})
    require_nerves(scan, table)
    pet = replace(scan.image, modality=Modality.PET, unit=ImageUnit.SUVBW)
    with pytest.raises(InputError, match="pet_fwhm_mm and pet_fwhm_sd_mm, because there is a PET"):
        require_nerves(NerveScan(scan.image, scan.structures, pet, None), table)
    clicked = table.model_copy(
        update={"clicks": {"L5_R": ((0, 0, 0), (1, 1, 1))}, "track_on": "MR"}
    )
    with pytest.raises(InputError, match="expected an MR to track the clicks on"):
        require_nerves(scan, clicked)


def pet_without_weight(tiny, fill, tmp_path):
    """The tiny patient with a PET that does not say what she weighs."""
    grid = tiny.today.grid
    facts = PetAcquisition(None, 350e6, 6586.2, 6586.2, "START", "FDG", corrections=("DECY",))
    pet = Image(np.full(grid.shape, 5000.0), grid, Modality.PET, ImageUnit.BQML,
                acquired=date(2024, 3, 5), pet=facts)  # fmt: skip
    header = dicom.StudyHeader("1.2.3.9", date(2024, 3, 5), uids=dicom.UidFactory("p"))
    dicom.write_image(
        pet, Patient("TINY-1", "Test^Tiny", sex="F"), tiny.folder / "pt", study=header
    )
    report = import_folder(tiny.folder, tmp_path / "case")
    file = fill(read_case(report.case_file))
    write_case(file, report.case_file)
    return file, report.case_file


def test_a_pet_without_weight_is_refused_and_the_case_can_supply_it(tiny, fill, tmp_path):
    """5000 Bq/ml, half of 350 MBq left: SUV 5000 x 70000 / 175e6 = 2, and findings say so."""
    file, path = pet_without_weight(tiny, fill, tmp_path)
    with pytest.raises(MissingDataError, match=r"weight in kg.*weight_kg under \[pet\]"):
        load_case(path)
    write_case(file.model_copy(update={"pet": PetTable(weight_kg=70.0)}), path)
    loaded = load_case(path)
    assert np.nanmax(loaded.inputs.pet_suv.values) == pytest.approx(2.0, rel=1e-3)
    codes = {f.code for f in loaded.inputs.findings}
    assert {"suv-fact-supplied", "pet-attenuation-not-corrected"} <= codes


def test_facts_of_a_pet_are_checked_like_the_header_s():
    assert facts_of(pet_table_of({"uptake_time_min": 62})).injection_to_reference_s == 3720
    assert facts_of(PetTable(injected_activity_mbq=310)).injected_activity_bq == 310e6
    for wrong, said in (
        ({"weight": 70}, "the keys are weight_kg"),
        ({"weight_kg": 0}, "weight_kg.*greater than 0"),
        ({"decay_correction": "start"}, "'START', 'ADMIN' or 'NONE'"),
    ):
        with pytest.raises(InputError, match=said):
            pet_table_of(wrong)
    for wrong in ({"weight_kg": 70000.0}, {"injected_activity_mbq": 1e-3}):
        with pytest.raises(InputError, match="mind its unit"):
            facts_of(PetTable(**wrong))


TUBE = {
    "name": "zPET",
    "method": "region_in_tube",
    "along": "L5_R",
    "tube_radius_mm": 7.0,
    "threshold": 2.5,
    "seed_mm": [0.0, 0.0, 0.0],
    "reach_mm": 20.0,
}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{**TUBE, "threshold": None}], "zPET: region_in_tube needs threshold"),
        ([{**TUBE, "along": ""}], "region_in_tube needs along"),
        ([{**TUBE, "method": "Share"}], "zPET: method: Input should be"),
        ([{**TUBE, "method": "adaptive", "share": 0.5}], "adaptive needs background"),
        ([{**TUBE, "share": 41}], "share: .*less than 1, got 41"),
        ([{**TUBE, "reach_mm": 0}], "reach_mm: .*greater than 0"),
        ([{**TUBE, "size": 3}], "size: Extra inputs"),
        ([TUBE, TUBE], "zPET is proposed twice"),
        (["zPET"], "no name"),
    ],
)
def test_an_outline_that_lacks_a_number_is_refused_by_name(rows, said):
    with pytest.raises(InputError, match=said):
        proposals_of(rows)


def test_outlines_need_a_pet_its_resolution_a_path_and_a_tissue(tiny_case):
    scan = scan_of(check_case(tiny_case).loaded)
    tables = proposals_of([TUBE])
    with pytest.raises(InputError, match="expected a PET and its pet_fwhm_mm"):
        outline_uptake(tables, scan, nerves_of(WHOLE), NerveStudy())
    hot = np.full(scan.image.grid.shape, 3.0, dtype=np.float32)
    pet = replace(scan.image, values=hot, modality=Modality.PET, unit=ImageUnit.SUVBW)
    scan = replace(scan, pet_suv=pet)
    with pytest.raises(InputError, match="expected a measured path, got L5_R"):
        outline_uptake(tables, scan, nerves_of(WHOLE), NerveStudy())
    liver = proposals_of([{**TUBE, "method": "liver"}])
    with pytest.raises(InputError, match=r"expected liver under \[nerves.references\]"):
        outline_uptake(liver, scan, nerves_of(WHOLE), NerveStudy())
    fixed = proposals_of([{**TUBE, "method": "fixed", "threshold": 9.0}])
    with pytest.raises(InputError, match="nothing near the seed reaches the threshold"):
        outline_uptake(fixed, scan, nerves_of(WHOLE), NerveStudy())
