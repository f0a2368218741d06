"""The table of nerves: read strictly, written back, refused by name before anything is planned."""

from dataclasses import replace

import pytest

from rerad.case import check_case, read_case, write_case
from rerad.case.nerve_schema import NervesTable, clicks_from_words, nerves_of
from rerad.case.nerve_study import NerveScan, require_nerves
from rerad.case.run import scan_of
from rerad.core import ImageUnit, Modality
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
    for wrong in ("L5_R", "L5_R=1,2", "=1,2,3", "L5_R=a,b,c", "L5_R=1,2,3,4"):
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
