"""Files of measurements: what is read, and what is refused with one sentence."""

from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from rerad.case.measured import CurveKind, read_measured
from rerad.case.slab import read_slab
from rerad.errors import CaseError

PDD = {
    "MODALITY": "X",
    "SSD": "900.00",
    "FIELD_INPLANE": "100.00",
    "FIELD_CROSSPLANE": "80.00",
    "FIELD_TYPE": "RECTANGULAR",
    "GANTRY": "0.00",
    "DETECTOR_NAME": "PTW 31002 Semiflex",
    "SCAN_CURVETYPE": "PDD",
    "SCAN_DIAGONAL": "NOT_DIAGONAL",
    "MEAS_MEDIUM": "WATER",
}
DATA = [
    "0.00\t\t12.5E-03",
    "5.00\t\t20.0E-03",
    "10.0\t\t24.0E-03",
    "20.0\t\t23.0E-03",
    "50\t\t19E-3",
]


def scan(number: int = 1, data: list[str] | None = None, **more: str) -> list[str]:
    """One scan as PTW writes it."""
    header = [f"\t\t{key}={value}" for key, value in {**PDD, **more}.items()]
    numbers = [f"\t\t\t{line}" for line in (DATA if data is None else data)]
    block = ["\t\tBEGIN_DATA", *numbers, "\t\tEND_DATA"]
    return [f"\tBEGIN_SCAN  {number}", *header, *block, f"\tEND_SCAN  {number}"]


def write_mcc(path: Path, *scans: list[str]) -> Path:
    lines = [
        "BEGIN_SCAN_DATA",
        "\tFORMAT=CC-Export V1.9",
        *chain.from_iterable(scans),
        "END_SCAN_DATA",
    ]
    path.write_bytes("\r\n".join(lines).encode())
    return path


def test_mcc_scans_are_read(tmp_path: Path) -> None:
    backwards = [f"{x}\t\t{100 - abs(x)}E-03\t\t#1.0" for x in range(40, -41, -10)]
    profile = scan(2, backwards, SCAN_CURVETYPE="CROSSPLANE_PROFILE", SCAN_DEPTH="15.00")
    inplane = scan(3, backwards, SCAN_CURVETYPE="INPLANE_PROFILE", SCAN_DEPTH="50.00")
    curves = read_measured(write_mcc(tmp_path / "a.mcc", scan(), profile, inplane))
    assert [c.kind for c in curves] == [
        CurveKind.DEPTH_DOSE,
        CurveKind.CROSSPLANE,
        CurveKind.INPLANE,
    ]
    first, second, third = curves
    assert (first.field_crossplane_mm, first.field_inplane_mm, first.ssd_mm) == (80, 100, 900)
    assert first.depth_mm is None
    assert first.detector == "PTW 31002 Semiflex"
    np.testing.assert_array_equal(first.values, [0.0125, 0.020, 0.024, 0.023, 0.019])
    assert (second.depth_mm, third.depth_mm) == (15.0, 50.0)
    np.testing.assert_array_equal(second.positions_mm, np.arange(-40.0, 41.0, 10.0))
    assert not second.values.flags.writeable


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"WEDGE_ANGLE": "15.00"}, "expected WEDGE_ANGLE=0, got 15.00"),
        ({"GANTRY": "90.00"}, "expected GANTRY=0"),
        ({"SCAN_OFFAXIS_INPLANE": "20.00"}, "SCAN_OFFAXIS_INPLANE=0"),
        ({"SCAN_DIAGONAL": "FIRST_DIAGONAL"}, "SCAN_DIAGONAL=NOT_DIAGONAL"),
        ({"MEAS_MEDIUM": "AIR"}, "expected MEAS_MEDIUM=WATER"),
        ({"MODALITY": "EL"}, "expected MODALITY=X"),
        ({"SCAN_CURVETYPE": "TMR"}, "expected SCAN_CURVETYPE PDD"),
        ({"SCAN_CURVETYPE": "INPLANE_PROFILE"}, "SCAN_DEPTH is missing"),
        ({"SSD": "far"}, "expected a number for SSD, got 'far'"),
        ({"SSD": "0"}, "above 0 mm"),
    ],
)
def test_other_scans_are_refused(tmp_path: Path, more: dict[str, str], what: str) -> None:
    with pytest.raises(CaseError, match=what) as caught:
        read_measured(write_mcc(tmp_path / "a.mcc", scan(**more)))
    assert "a.mcc, scan 1" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (DATA[:3], "at least 5 points, got 3"),
        ([*DATA, "5.00\t\t1"], "5 mm twice"),
        ([*DATA, "60.0\t\tnan"], "got 'nan'"),
        ([*DATA, "60.0"], "a position and a value"),
        ([*DATA, "60.0 1 2"], "a position and a value"),
        ([*DATA, "60.0\t\t-1"], "0 or more"),
    ],
)
def test_bad_numbers_are_refused(tmp_path: Path, data: list[str], what: str) -> None:
    with pytest.raises(CaseError, match=what):
        read_measured(write_mcc(tmp_path / "a.mcc", scan(1, data)))


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    whole = write_mcc(tmp_path / "a.mcc", scan(), scan(2)).read_text()
    cut = tmp_path / "cut.mcc"
    for share in (0.4, 0.6, 0.9, 0.99):
        cut.write_text(whole[: int(share * len(whole))])
        with pytest.raises(CaseError):
            read_measured(cut)
    cut.write_text("something else")
    with pytest.raises(CaseError, match="expected a PTW scan file"):
        read_measured(cut)
    with pytest.raises(CaseError, match="at least one scan"):
        read_measured(write_mcc(tmp_path / "empty.mcc"))
    with pytest.raises(CaseError, match="cannot be read"):
        read_measured(tmp_path / "absent.mcc")
    with pytest.raises(CaseError, match=r"ending in \.mcc or \.csv"):
        read_measured(tmp_path / "a.txt")


HEADER = "curve,field_x_mm,field_y_mm,ssd_mm,depth_mm,position_mm,value\n"


def test_csv_curves_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    depth = "".join(f"depth_dose,50,60,900,,{x},{100 - x}\n" for x in range(0, 60, 10))
    across = "".join(f"inplane,50,60,900,100,{x},{80 - abs(x)}\n" for x in range(-30, 31, 10))
    path.write_text("\ufeff" + HEADER + depth + across, encoding="utf-8")
    first, second = read_measured(path)
    assert (first.kind, first.depth_mm, second.depth_mm) == (CurveKind.DEPTH_DOSE, None, 100.0)
    assert (second.field_crossplane_mm, second.field_inplane_mm) == (50.0, 60.0)
    np.testing.assert_array_equal(first.values, [100, 90, 80, 70, 60, 50])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x,y\n1,2\n", "expected the header curve,field_x_mm"),
        (HEADER, "at least one scan"),
        (HEADER + "depth_dose,50,50,900,,1\n", "row 2: expected 7 columns, got 6"),
        (HEADER + "depth_dose,50,50,900,,1,high\n", "row 2: expected a number for value"),
        (HEADER + "diagonal,50,50,900,10,1,1\n", "got 'diagonal'"),
        (HEADER + "depth_dose,50,50,900,10,1,1\n", "none for a depth dose"),
        (HEADER + "inplane,50,50,900,,1,1\n", "a depth_mm for a profile"),
    ],
)
def test_bad_csv_is_refused(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(CaseError, match=what):
        read_measured(path)


def test_slab_files(tmp_path: Path) -> None:
    path = tmp_path / "slab.toml"
    layer = "[[layers]]\nthickness_mm = {}\ndensity_g_cm3 = {}\n"
    path.write_text(layer.format(50, 1.0) + layer.format(80.5, 0.26))
    layers = read_slab(path)
    assert [(s.thickness_mm, s.density_g_cm3) for s in layers] == [(50.0, 1.0), (80.5, 0.26)]
    for bad, what in [
        ("", "expected \\[\\[layers\\]\\]"),
        ("layers = 3", "expected \\[\\[layers\\]\\]"),
        ("colour = 1\n" + layer.format(1, 1), "and nothing else"),
        ("[[layers]]\nthickness_mm = 3\n", "expected layer 1 to give"),
        (layer.format(50, '"lung"'), "as numbers"),
        (layer.format(50, "true"), "as numbers"),
        ("= =", "cannot be read"),
    ]:
        path.write_text(bad)
        with pytest.raises(CaseError, match=what):
            read_slab(path)
    with pytest.raises(CaseError, match="cannot be read"):
        read_slab(tmp_path / "absent.toml")
