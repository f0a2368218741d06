"""Curves, overrides and couches of a case file, as they reach the planner."""

from pathlib import Path

import numpy as np
import pytest

from rerad.case import read_case, write_case
from rerad.case.load import load_case
from rerad.case.medium import medium_record
from rerad.errors import CaseError
from rerad.imaging import CouchSource, DensityQuantity

CALIBRATION = """
[[ct_calibration]]
name = "clinic_120"
scanner = "Siemens SOMATOM go.Open Pro"
kvp = 120
quantity = "electron_density"
source = "Phantom of 2025"
points = [[-1000, 0.001], [0, 1.0], [1200, 1.7]]
"""

PANEL = """
[[couch_panel]]
name = "table"
model = "generic_carbon_sandwich"
top_y_mm = 47.0
center_x_mm = 0.0
"""


@pytest.fixture
def path(tiny_case: Path) -> Path:
    return tiny_case / "case.toml"


def change(path: Path, *, curve: str = "", couch: str = "", more: str = "") -> None:
    text = path.read_text(encoding="utf-8")
    if curve:
        text = text.replace('"schneider_2000"', f'"{curve}"')
    if couch:
        text = text.replace('couch = "none"', f'couch = "{couch}"')
    path.write_text(text + more, encoding="utf-8")


def test_a_case_without_choices_is_as_before(path: Path) -> None:
    loaded = load_case(path)
    assert loaded.medium.curve.name == "schneider_2000"
    assert loaded.medium.couch is CouchSource.NONE
    assert loaded.medium.overrides == ()
    assert "hu-curve-generic" in [item.code for item in loaded.inputs.findings]


def test_the_curve_of_the_clinic_is_used_and_compared(path: Path) -> None:
    change(path, curve="clinic_120", more=CALIBRATION)
    loaded = load_case(path)
    curve = loaded.inputs.medium.curve
    assert curve is loaded.medium.curve
    assert curve.quantity is DensityQuantity.ELECTRON
    np.testing.assert_array_equal(curve.density_g_cm3, [0.001, 1.0, 1.7])
    # The tiny CT names rerad as its maker.
    codes = [item.code for item in loaded.inputs.findings]
    assert "hu-curve-of-another-scanner" in codes


def test_a_curve_from_a_file_is_recorded_by_hash(path: Path) -> None:
    (path.parent / "curve.csv").write_text("HU,density\n-1000,0.001\n0,1\n", encoding="utf-8")
    points = CALIBRATION[CALIBRATION.index("points") :]
    from_file = CALIBRATION.replace(points, 'file = "curve.csv"\n')
    change(path, curve="clinic_120", more=from_file)
    loaded = load_case(path)
    np.testing.assert_array_equal(loaded.medium.curve.hu, [-1000.0, 0.0])
    assert "ct_calibration clinic_120" in [item.what for item in loaded.records]


@pytest.mark.parametrize(
    ("curve", "more", "said"),
    [
        ("clinic_999", CALIBRATION, "no curve 'clinic_999'; there are clinic_120, schneider_2000"),
        ("clinic_120", CALIBRATION.replace("1.7", "0.9"), "ct_calibration: .*do not fall"),
        ("clinic_120", CALIBRATION + CALIBRATION, "expected names of their own"),
        ("clinic_120", CALIBRATION + 'file = "a.csv"\n', "exactly one of points and file"),
        ("clinic_120", CALIBRATION.replace('"electron_density"', '"hu"'), "quantity"),
    ],
)
def test_a_wrong_curve_names_file_and_key(path: Path, curve: str, more: str, said: str) -> None:
    change(path, curve=curve, more=more)
    with pytest.raises(CaseError, match=f"(?s)case.toml: .*{said}"):
        load_case(path)


def test_overrides_and_couch_reach_the_settings(path: Path) -> None:
    override = (
        '[[density_override]]\nstructure = "SacralPlex_R"\ndensity_g_cm3 = 1.05\n'
        'reason = "streaks"\n'
    )
    change(path, couch="table", more=override + PANEL)
    medium = load_case(path).medium
    (stated,) = medium.overrides
    assert (stated.structure, stated.density_g_cm3, stated.reason) == (
        "SacralPlex_R",
        1.05,
        "streaks",
    )
    assert medium.couch is CouchSource.PANEL
    assert medium.couch_panel is not None
    assert medium.couch_panel.thickness_mm == 50.0
    assert medium.couch_panel.top_y_mm == 47.0
    record = medium_record(medium)
    assert record["medium.override.SacralPlex_R"] == "1.05 g/cm3 (mass_density): streaks"
    assert record["medium.couch.top_y_mm"] == 47.0
    assert str(record["medium.couch.panel"]).startswith("table, 2 mm: 1.4, 46 mm: 0.056")
    assert str(record["medium.curve_hu_g_cm3"]).startswith("-1000: 0.00121, -98: 0.93049")


def test_drawn_couch_parts_reach_the_settings(path: Path) -> None:
    part = '[[couch_structure]]\nstructure = "Body"\ndensity_g_cm3 = 0.5\nsource = "test"\n'
    change(path, couch="structures", more=part)
    medium = load_case(path).medium
    assert medium.couch is CouchSource.STRUCTURES
    assert [item.density_g_cm3 for item in medium.couch_structures] == [0.5]
    assert medium_record(medium)["medium.couch.Body_g_cm3"] == 0.5


@pytest.mark.parametrize(
    ("couch", "more", "said"),
    [
        ("tabel", PANEL, r"name of a couch_panel \(table\), got 'tabel'"),
        ("structures", "", "at least one couch structure"),
        ("table", PANEL.replace("generic_carbon_sandwich", "x"), "'x' is not in couches.toml"),
        ("table", PANEL + "width_mm = 500.0\n", "give either model, or layers"),
        (
            "none",
            '[[density_override]]\nstructure = "Sacral plexus right"\ndensity_g_cm3 = 1.0\n'
            'reason = "a"\n',
            r"no structure 'Sacral plexus right' in '.*' \(did you mean SacralPlex_R\)",
        ),
        (
            "none",
            '[[density_override]]\nstructure = "Stent"\ndensity_g_cm3 = 1.0\nreason = "a"\n',
            r"no structure 'Stent' .*none is spelt alike.*Body, PTV_4000",
        ),
    ],
)
def test_a_wrong_density_names_file_and_key(path: Path, couch: str, more: str, said: str) -> None:
    change(path, couch=couch, more=more)
    with pytest.raises(CaseError, match=f"(?s)case.toml: .*{said}"):
        load_case(path)


def test_what_is_written_is_read_back_with_all_of_it(path: Path) -> None:
    change(path, curve="clinic_120", couch="table", more=CALIBRATION + PANEL)
    case = read_case(path)
    write_case(case, path)
    assert read_case(path) == case
