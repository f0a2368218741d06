"""The shipped generic 6 MV machine beside a measured Elekta beam, 10 cm x 10 cm at SSD 900 mm.

The machine was NOT fitted to these data: its kernel is calculated and its collimator is a
textbook one. The bounds below are what it reaches, so that a change is noticed; they are not what
a commissioned machine has to reach. In particular:

- depth dose beyond 5 mm: up to 2.05 % of the maximum (at 5 mm; 1.08 % from 8 mm on), and 1.0 % low
  at 100 mm, 2.7 % low at 200 mm, 4.0 % low at 350 mm of the local dose (4.3 % at most): the beam
  measured is a little harder;
- inplane penumbra within 0.34 mm, crossplane penumbra 1.4 to 2.6 mm too narrow: one blur stands
  for both axes, and the generic leaves and jaws are not this machine's;
- outside the field up to 4.0 % of the axis too low: no head scatter, no jaw transmission;
- output of 5 cm x 5 cm 2.4 % high at 100 mm depth (the file does not say at which depth it was
  measured).
"""

import csv
from pathlib import Path

import numpy as np
import pytest

from rerad.case import CommissionResult, MeasuredCurve, commission_machine, read_measured
from rerad.case.measured import CurveKind
from rerad.dosecalc import WaterTankSetup, depth_dose, load_machine, output_factor

TANK = WaterTankSetup(100.0, 100.0, 900.0)


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    path = shared_data / "elekta_6mv_water" / "measurements"
    if not path.is_dir():
        pytest.skip(f"the measured beam is not here: {path} is absent")
    return path


@pytest.fixture(scope="module")
def measured(folder: Path) -> tuple[MeasuredCurve, ...]:
    return read_measured(folder / "06MV_10x10.mcc")


@pytest.fixture(scope="module")
def compared(measured: tuple[MeasuredCurve, ...]) -> CommissionResult:
    machine = load_machine("generic_6mv")
    return commission_machine(machine, TANK, profile_depths_mm=(), measured=measured)


def test_the_file_is_read_whole(measured: tuple[MeasuredCurve, ...]) -> None:
    kinds = [(str(curve.kind), curve.depth_mm) for curve in measured]
    depths = (15.0, 50.0, 100.0, 200.0)
    assert kinds == [
        *(("inplane", depth) for depth in depths),
        ("depth_dose", None),
        *(("crossplane", depth) for depth in depths),
    ]
    assert {(c.field_crossplane_mm, c.field_inplane_mm, c.ssd_mm) for c in measured} == {
        (100.0, 100.0, 900.0)
    }
    depth = measured[4]
    assert (depth.positions_mm[0], depth.positions_mm[-1]) == (0.0, 350.0)
    assert depth.values[0] == 12.503e-03
    assert "Semiflex" in depth.detector
    assert "Diode" in measured[0].detector


def test_depth_dose(compared: CommissionResult) -> None:
    curve = next(c for c in compared.curves if c.kind is CurveKind.DEPTH_DOSE)
    assert curve.numbers["beyond_build_up_largest_of_maximum_percent"] < 2.1  # 2.05
    assert curve.numbers["beyond_build_up_mean_of_maximum_percent"] < 0.7  # 0.65
    assert curve.difference is not None
    x, difference = curve.positions_mm, curve.difference
    assert np.abs(difference.of_maximum_percent[x >= 8.0]).max() < 1.1  # 1.08
    assert np.abs(difference.local_percent[(x >= 8.0) & (x <= 90.0)]).max() < 1.2
    assert np.abs(difference.local_percent[x >= 8.0]).max() < 4.4  # 4.32
    # The measured top is flat from 13 to 18 mm.
    assert 13.0 < curve.numbers["depth_of_maximum_mm"] < 18.0


def test_profiles(compared: CommissionResult) -> None:
    bounds = {CurveKind.INPLANE: (0.4, 3.0), CurveKind.CROSSPLANE: (2.7, 4.1)}
    for kind, (penumbra_mm, outside_percent) in bounds.items():
        curves = [curve for curve in compared.curves if curve.kind is kind]
        assert len(curves) == 4
        for curve in curves:
            n = curve.numbers
            assert n["in_field_largest_of_maximum_percent"] < 1.0  # 0.90
            assert abs(n["field_width_mm"] - n["measured_field_width_mm"]) < 0.5  # 0.42
            for side in ("left", "right"):
                wrong = n[f"penumbra_{side}_mm"] - n[f"measured_penumbra_{side}_mm"]
                assert abs(wrong) < penumbra_mm
            assert n["outside_field_largest_of_maximum_percent"] < outside_percent


def test_table_of_absolute_dose(folder: Path) -> None:
    """Dose at 100 mm at SSD 1000, relative to the maximum there, and at SSD 900: 1.1 % low."""
    with (folder / "AbsoluteDose.csv").open(newline="") as file:
        names, values = list(csv.reader(file))
    table = dict(zip(names[1:], map(float, values[1:]), strict=True))
    machine, depths = load_machine("generic_6mv"), np.arange(0.0, 121.0)
    far = depth_dose(machine, WaterTankSetup(100.0, 100.0, 1000.0), depths)
    near = depth_dose(machine, TANK, depths)
    assert far[100] / far.max() == pytest.approx(table["d10 @ 100 SSD"], rel=0.01)  # 0.7 % low
    ratio = table["d10 @ 90 SSD / d10 @ 100 SSD"]
    assert near[100] / far[100] == pytest.approx(ratio, rel=0.006)  # 0.45 % low
    assert near[100] / far.max() == pytest.approx(table["d10 @ 90 SSD"], rel=0.013)


def test_output_of_the_small_field(folder: Path) -> None:
    with (folder / "OutputFactors.csv").open(newline="") as file:
        measured = float(list(csv.reader(file))[1][1])
    machine = load_machine("generic_6mv")
    small = WaterTankSetup(50.0, 50.0, 900.0)
    factor = output_factor(machine, small, depth_mm=100.0, reference_field_mm=100.0)
    assert 0.02 < factor / measured - 1.0 < 0.027  # 2.4 % high
