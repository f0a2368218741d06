"""The plan benchmark on TG-119: the wheel's phantom as a case, and what is read of it."""

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

from rerad.core import Dose, StructureKind
from rerad.evaluation import dvh, evaluate_metric
from rerad.structures import rasterize

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
FRAME = "1.2.826.4"
ORIGIN_MM, SPACING_MM = (-46.0, -61.0, -20.0), (3.0, 3.0, 2.5)


@pytest.fixture
def phantom() -> dict[str, np.ndarray]:
    """A small block as the peer's script writes its phantom: core beside a target."""
    masks = {name: np.zeros((16, 40, 30), dtype=bool) for name in ("BODY", "OuterTarget", "Core")}
    masks["BODY"][1:15, 4:36, 3:27] = True
    masks["Core"][3:13, 19:22, 14:17] = True
    masks["OuterTarget"][5:11, 10:17, 12:19] = True
    return {
        "hu": np.where(masks["BODY"], 20, -1000).astype(np.int16),
        "origin_mm": np.array(ORIGIN_MM),
        "spacing_mm": np.array(SPACING_MM),
        **{f"mask_{name}": inside for name, inside in masks.items()},
    }


def test_the_wheel_s_masks_become_contours_that_give_them_back(load, phantom) -> None:
    wheel = load("tg119_wheel").wheel_case(phantom, FRAME)
    grid = wheel.case.image.grid
    assert (grid.origin_mm, grid.spacing_mm) == (ORIGIN_MM, SPACING_MM)
    np.testing.assert_array_equal(wheel.case.image.values, phantom["hu"])
    kinds = {item.name: item.kind for item in wheel.case.structures.structures}
    assert kinds == {
        "Body": StructureKind.EXTERNAL,
        "PTV_5000": StructureKind.PTV,
        "Core": StructureKind.OAR,
    }
    theirs = {"Body": "BODY", "PTV_5000": "OuterTarget", "Core": "Core"}
    for name, their_name in theirs.items():
        inside = phantom[f"mask_{their_name}"]
        again = rasterize(wheel.case.structures[name], grid).on(grid) >= 0.5
        np.testing.assert_array_equal(again, inside)
        assert wheel.voxel_masks[name].volume_cc == pytest.approx(0.0225 * inside.sum())
    prescribed = [(item.structure, item.dose_gy) for item in wheel.case.prescriptions]
    assert prescribed == [("PTV_5000", 50.0)]


def test_the_wheel_s_isocentre_is_on_the_core_at_half_the_target_s_length(load, phantom) -> None:
    wheel = load("tg119_wheel").wheel_case(phantom, FRAME)
    # core: columns 14..16, rows 19..21; target: slices 5..10
    expected = (-46.0 + 3.0 * 15, -61.0 + 3.0 * 20, -20.0 + 2.5 * 7.5)
    assert wheel.isocenter_mm == pytest.approx(expected)


def test_the_wheel_is_skipped_in_words_where_no_python_reads_it(load, capsys) -> None:
    module = load("bench_tg119")
    assert module.tasks(Namespace(case="wheel", peer_python=None)) == {}
    assert "wheel: skipped" in capsys.readouterr().out
    assert list(module.tasks(Namespace(case=None, peer_python=None))) == [
        "c-shape",
        "multi-target",
    ]


def test_a_python_that_cannot_read_the_wheel_is_named(load, tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no module named pyRadPlan >&2\nexit 1\n")
    broken.chmod(0o755)
    with pytest.raises(RuntimeError, match="no module named pyRadPlan"):
        load("tg119_wheel").read_out(broken)


def test_both_c_shapes_are_planned_with_the_same_settings(load, phantom, monkeypatch) -> None:
    module = load("bench_tg119")
    monkeypatch.setattr(module, "read_out", lambda _python: phantom)
    found = module.tasks(Namespace(case=None, peer_python=Path("python")))
    own, wheel = found["c-shape"].trial, found["wheel"].trial
    assert own.isocenter_mm == (0.0, 0.0, 0.0)
    assert wheel.isocenter_mm == found_isocentre(load, phantom)
    assert module.replace(wheel, isocenter_mm=own.isocenter_mm) == own
    # A goal with a priority, or of more than a near-maximum, would be passed over in silence.
    assert [cap.structure for cap in module.physical_caps(own.goals)] == ["Core"]
    assert set(found["wheel"].voxel_masks) == {"Body", "PTV_5000", "Core"}


def found_isocentre(load, phantom) -> tuple[float, float, float]:
    return load("tg119_wheel").wheel_case(phantom, FRAME).isocenter_mm


@pytest.mark.parametrize(
    ("goal", "met", "missed"),
    [
        ("<= 13.5", 13.5, 13.51),
        (">= 46", 46.0, 45.99),
        ("= 50", 50.04, 50.06),
        ("= 50", 49.96, 49.9),
    ],
)
def test_only_what_is_scaled_to_counts_to_a_tolerance(load, goal, met, missed) -> None:
    is_met = load("bench_tg119").is_met
    is_scaled_to = goal.startswith("=")
    assert is_met(goal, met, is_scaled_to=is_scaled_to) is True
    assert is_met(goal, missed, is_scaled_to=is_scaled_to) is False
    assert is_met("", met, is_scaled_to=is_scaled_to) is None


def test_masks_of_the_wheel_are_read_at_voxel_centres(load, phantom) -> None:
    """A dose that rises by 1 Gy a voxel along x: the core has three columns, 14, 15 and 16 Gy."""
    wheel = load("tg119_wheel").wheel_case(phantom, FRAME)
    grid = wheel.case.image.grid
    dose = Dose(np.broadcast_to(np.arange(30, dtype=np.float32), grid.shape).copy(), grid)
    of_voxels = dvh(dose, wheel.voxel_masks["Core"])
    assert evaluate_metric("D10%", of_voxels) == pytest.approx(16.0)
    assert evaluate_metric("D95%", of_voxels) == pytest.approx(14.0)
    # Contours half-way between voxel centres hold what lies between them too.
    of_contours = dvh(dose, wheel.case.structures["Core"])
    assert 16.0 < evaluate_metric("D10%", of_contours) < 16.5
