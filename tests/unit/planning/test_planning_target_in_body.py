"""Targets that reach into air: planned in the body, judged as drawn, said."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.errors import InputError, StructureNotFoundError
from rerad.planning import prepare_case
from rerad.planning.plan_task import Listeners, prepare_task
from rerad.planning.target_in_body import cut_to_body, outside_body_findings


def silent(what: str, share: float) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def reaching(make_inputs: Callable):
    """The box of water with its outline cut through the target: 28 of 40 mm are left."""
    request = prepare_case(make_inputs(), silent).request
    grid, body = request.grid, request.body
    here = grid.region_of(body.grid)
    x = grid.axes_mm[0][here[2]]
    share = np.where(x < 8.0, body.fraction, np.float32(0)).astype(np.float32)
    return replace(request, body=replace(body, fraction=share))


def test_no_dose_is_asked_for_in_air(reaching) -> None:
    task = prepare_task(reaching, silent, Listeners())
    term = next(t for t in task.problem.terms if t.name == "PTV_4000 too little")
    flat = task.points.indices[term.indices]
    inside = reaching.body.on(reaching.grid).ravel()[flat]
    assert len(flat) > 100
    assert inside.min() >= 0.5


def test_what_lies_in_air_is_said_with_its_volume(reaching) -> None:
    found = outside_body_findings(
        reaching.masks, reaching.body, ["PTV_4000", "PTV_4000"], reaching.grid
    )
    assert [item.code for item in found] == ["target-outside-body"]
    # 12 of 40 mm; voxels are 3 mm
    assert float(found[0].text.split("(")[1].split(" %")[0]) == pytest.approx(30.0, abs=4.0)
    whole = outside_body_findings(
        reaching.masks, reaching.masks["Body"], ["PTV_4000"], reaching.grid
    )
    assert whole == []


def test_a_target_in_air_alone_or_not_drawn_is_refused(reaching) -> None:
    nowhere = replace(reaching.body, fraction=np.zeros_like(reaching.body.fraction))
    with pytest.raises(InputError, match="lies outside the dose grid or the body outline Body"):
        cut_to_body(reaching.masks, nowhere, ["PTV_4000"], reaching.grid)
    with pytest.raises(StructureNotFoundError, match="target PTV_9 is not among the masks"):
        cut_to_body(reaching.masks, reaching.body, ["PTV_9"], reaching.grid)


def test_a_target_smaller_than_voxels_is_refused_with_what_to_do(reaching) -> None:
    mask = reaching.masks["PTV_4000"]
    thin = {**reaching.masks, "PTV_4000": replace(mask, fraction=0.4 * mask.fraction)}
    with pytest.raises(InputError, match=r"fills no dose voxel of 3 mm by half; .* dose_grid_mm"):
        cut_to_body(thin, reaching.masks["Body"], ["PTV_4000"], reaching.grid)
