"""Outlines on PET: what each method encloses of a known object, and who may accept it."""

import inspect

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import rerad.pet
from rerad.core import Grid, Image, ImageUnit, Mask, Modality, StructureKind
from rerad.errors import InputError, MissingDataError
from rerad.pet import (
    DelineationProposal,
    DelineationTask,
    accept_proposal,
    by_adaptive_threshold,
    by_gradient,
    by_reference,
    by_region_in_tube,
    by_share_of_maximum,
    by_threshold,
)

GRID = Grid((31, 31, 31), (-30.0, -30.0, -30.0), (2.0, 2.0, 2.0), "1.2.3")
FWHM_MM = 6.0
CURVATURE_MM = (FWHM_MM / 2.3548) ** 2 / 15.0
"""A blurred ball's edge, midway or steepest, lies s²/R inside: more of what is near is outside."""
TASK = DelineationTask("Node", (1.0, 0.0, -1.0), 27.0, FWHM_MM)


def ball(radius_mm, *, suv=8.0, background=1.0):
    z, y, x = np.meshgrid(*GRID.axes_mm[::-1], indexing="ij")
    r = np.sqrt(x**2 + y**2 + z**2)
    sharp = background + (suv - background) * np.clip((radius_mm - r) / 2 + 0.5, 0, 1)
    values = gaussian_filter(sharp, FWHM_MM / 2.3548 / 2.0)
    return Image(values.astype(np.float32), GRID, Modality.PET, ImageUnit.SUVBW)


def volume(radius_mm):
    return 4 / 3 * np.pi * radius_mm**3 / 1000


def test_midway_is_the_edge_of_a_large_ball():
    found = by_adaptive_threshold(ball(15.0), TASK, background=1.0)
    assert found.threshold == pytest.approx(1 + 0.5 * 7, rel=0.06)
    assert found.volume_cc == pytest.approx(volume(15.0 - CURVATURE_MM), rel=0.05)
    assert [f.code for f in found.findings] == []


def test_gradient_finds_the_edge_of_a_large_ball():
    found = by_gradient(ball(15.0), TASK)
    assert found.volume_cc == pytest.approx(volume(15.0 - CURVATURE_MM), rel=0.07)


def test_thresholds_are_what_they_are_called():
    image = ball(15.0)
    peak = float(image.values.max())
    assert by_share_of_maximum(image, TASK, share=0.41).threshold == pytest.approx(0.41 * peak)
    assert by_threshold(image, TASK, 2.5).threshold == 2.5
    liver = by_reference(image, TASK, tissue="liver", mean_sd=(2.0, 0.25))
    assert liver.threshold == pytest.approx(3.5)
    blood = by_reference(image, TASK, tissue="blood pool", mean_sd=(1.6, 0.2))
    assert blood.threshold == pytest.approx(3.6)
    assert "Cancers 2020" in liver.source
    inside = by_threshold(image, TASK, 2.5).inside
    assert np.array_equal(inside, image.values >= 2.5)


def test_a_small_object_is_said_to_be_below_the_resolution():
    found = by_share_of_maximum(ball(2.5, suv=60.0), TASK, share=0.41)
    assert "outline-below-resolution" in {f.code for f in found.findings}
    # And rightly: the outline is far larger than the object.
    assert found.volume_cc > 2 * volume(2.5)


def test_growing_stays_in_the_tube():
    image = ball(12.0)
    share = np.zeros(GRID.shape)
    share[:, 13:18, 13:18] = 1
    tube = Mask("L5_R", StructureKind.OTHER, share, GRID)
    found = by_region_in_tube(image, TASK, tube, threshold=3.0)
    assert np.array_equal(found.inside, (image.values >= 3.0) & (share > 0))


def test_other_uptake_out_of_reach_or_apart_is_left_out():
    image = ball(5.0)
    values = image.values.copy()
    values[2:5, 2:5, 2:5] = 20.0
    other = Image(values, GRID, Modality.PET, ImageUnit.SUVBW)
    found = by_threshold(other, TASK, 2.5)
    assert not found.inside[3, 3, 3]


def test_a_proposal_becomes_a_gtv_only_by_a_named_person():
    proposal = by_threshold(ball(15.0), TASK, 2.5)
    accepted = accept_proposal(proposal, accepted_by="Dr A. Reader", name="GTVn")
    assert accepted.mask.kind is StructureKind.GTV
    assert accepted.accepted_by == "Dr A. Reader"
    with pytest.raises(InputError, match="who accepts"):
        accept_proposal(proposal, accepted_by="  ", name="GTVn")
    signature = inspect.signature(accept_proposal).parameters["accepted_by"]
    assert signature.default is inspect.Parameter.empty
    # Nothing else in the room turns a proposal into a mask.
    for name in set(rerad.pet.__all__) - {"accept_proposal"}:
        item = getattr(rerad.pet, name)
        if inspect.isfunction(item):
            takes = {str(p.annotation) for p in inspect.signature(item).parameters.values()}
            assert not any(DelineationProposal.__name__ in t for t in takes), name


def test_what_cannot_be_outlined_is_refused():
    with pytest.raises(InputError, match="reaches the threshold"):
        by_threshold(ball(15.0), TASK, 50.0)
    with pytest.raises(InputError, match="share of the maximum"):
        by_share_of_maximum(ball(15.0), TASK, share=41)
    with pytest.raises(MissingDataError, match="liver or blood pool"):
        by_reference(ball(15.0), TASK, tissue="spleen", mean_sd=(1, 1))
    far = DelineationTask("Node", (500.0, 0, 0), 10.0, FWHM_MM)
    with pytest.raises(InputError, match="seed inside the PET"):
        by_threshold(ball(15.0), far, 2.5)
