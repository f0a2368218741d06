"""A plan that was written is read back: what differs by what matters is refused by name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rerad import dicom
from rerad.case.written_plan import require_as_written
from rerad.core import Machine, Plan
from rerad.dosecalc import load_machine
from rerad.errors import ComputationError


@pytest.fixture
def written(tiny) -> tuple[Plan, Path, Machine]:
    """Return the tiny patient's earlier plan and its file."""
    item = next(item for item in dicom.scan_folder(tiny.folder).items if item.kind == "RTPLAN")
    path = item.paths[0]
    return dicom.read_plan(path), path, load_machine("generic_6mv")


def moved(plan, **changes):
    beam = replace(plan.beams[0], **changes)
    return replace(plan, beams=(beam, *plan.beams[1:]))


def test_the_plan_itself_passes(written) -> None:
    require_as_written(*written)


def test_a_leaf_elsewhere_is_named(written) -> None:
    plan, path, machine = written
    first = plan.beams[0].control_points[0]
    leaves = np.array(first.leaf_positions_mm)
    leaves[1, 3] += 0.05
    points = (replace(first, leaf_positions_mm=leaves), *plan.beams[0].control_points[1:])
    with pytest.raises(ComputationError, match=r"leaves in mm differ by 0\.05"):
        require_as_written(moved(plan, control_points=points), path, machine)


def test_other_monitor_units_and_missing_beams_are_named(written) -> None:
    plan, path, machine = written
    more = moved(plan, meterset_mu=plan.beams[0].meterset_mu + 0.01)
    with pytest.raises(ComputationError, match="meterset in MU differ"):
        require_as_written(more, path, machine)
    with pytest.raises(ComputationError, match="beams were written of"):
        require_as_written(replace(plan, beams=(*plan.beams, plan.beams[0])), path, machine)


def test_jaws_along_x_count_only_where_the_machine_has_them(written) -> None:
    plan, path, machine = written
    points = tuple(replace(p, jaw_x_mm=(-24.0, 31.0)) for p in plan.beams[0].control_points)
    other = moved(plan, control_points=points)
    require_as_written(other, path, load_machine("agility_like_6mv"))
    with pytest.raises(ComputationError, match="jaws in mm differ by 11"):
        require_as_written(other, path, machine)
    points = tuple(replace(p, jaw_y_mm=(-24.0, 20.0)) for p in plan.beams[0].control_points)
    with pytest.raises(ComputationError, match="jaws in mm differ by 4"):
        require_as_written(
            moved(plan, control_points=points), path, load_machine("agility_like_6mv")
        )
