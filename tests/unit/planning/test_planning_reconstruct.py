"""A paper course planned again as written; organs with a highest dose only."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from rerad.core import Image, ImageUnit, Mask, Modality, RecordGrade, StructureKind
from rerad.dosecalc import FinalDoseSettings, load_machine
from rerad.dosecalc.final_dose import Engine
from rerad.errors import InputError, MissingDataError
from rerad.planning.inputs import PriorInput
from rerad.planning.reconstruct import (
    BOX_DEG,
    OPPOSED_DEG,
    EngineSetup,
    TreatedRegion,
    bound_from_points,
    reconstruct_course,
)
from rerad.structures import rasterize

LATERAL_DEG = (90.0, 270.0)
FAST = FinalDoseSettings(engine=Engine.PENCIL_BEAM)


@pytest.fixture(scope="module")
def case(make_inputs):
    inputs = make_inputs()
    grid = inputs.image.grid.with_spacing((8.0, 8.0, 8.0))
    _, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    density = np.where((np.abs(x) < 70) & (np.abs(y) < 60), 1.0, 0.0).astype(np.float32)
    image = Image(density, grid, Modality.CT, ImageUnit.DENSITY)
    setup = EngineSetup(
        image, grid, load_machine("generic_6mv"), inputs.image.patient_position, FAST
    )
    region = rasterize(inputs.structures["PTV_4000"], grid)
    return inputs, setup, region


def stated(region, **changes):
    made = TreatedRegion(region, 45.0, (BOX_DEG,), (10.0, 10.0), 0.0, "letter of 2019")
    return replace(made, **changes)


def paper(inputs):
    prior: PriorInput = inputs.priors[0]
    return replace(prior.course, grade=RecordGrade.UNKNOWN)


def test_the_median_of_the_region_gets_the_prescription(case):
    inputs, setup, region = case
    band = reconstruct_course(paper(inputs), stated(region), setup)
    inside = setup.grid.region_of(region.grid)
    there = band.best.values[inside][region.fraction > 0.5]
    assert np.median(there) == pytest.approx(45.0, rel=1e-5)
    # A box in a tank is flat within its field and falls outside it.
    assert there.min() > 0.85 * 45
    far = band.best.values[:, :, 0]
    assert far.max() < 0.7 * 45
    assert band.course.grade is RecordGrade.PAPER
    (finding,) = band.findings
    assert "upper bound" in finding.text
    assert "letter of 2019" in finding.text


def test_the_band_encloses_every_statement_that_cannot_be_excluded(case):
    inputs, setup, region = case
    wide = reconstruct_course(
        paper(inputs),
        stated(region, angles_deg=(LATERAL_DEG, OPPOSED_DEG), margin_mm=(5.0, 15.0)),
        setup,
    )
    for angles in (LATERAL_DEG, OPPOSED_DEG):
        margin = 5.0 if angles == OPPOSED_DEG else 15.0
        one = stated(region, angles_deg=(angles,), margin_mm=(margin, margin))
        single = reconstruct_course(paper(inputs), one, setup)
        assert np.all(single.best.values <= wide.upper.values + 1e-3)
    # 95 % of the region has the prescription in the bound.
    inside = setup.grid.region_of(region.grid)
    there = wide.upper.values[inside][region.fraction > 0.5]
    assert np.quantile(there, 0.05) >= 45.0 - 1e-3


def test_an_uncertain_place_holds_the_moved_truth(case):
    """The same course a voxel (8 mm) further lies under the bound for 8 mm."""
    inputs, setup, region = case
    bound = reconstruct_course(
        paper(inputs), stated(region, place_uncertainty_mm=8.0, angles_deg=(OPPOSED_DEG,)), setup
    ).upper.values
    same = stated(region, angles_deg=(OPPOSED_DEG,))
    here = reconstruct_course(paper(inputs), same, setup).upper.values
    assert np.all(np.roll(here, 1, axis=2)[:, :, 1:] <= bound[:, :, 1:] + 1e-3)
    assert np.all(here <= bound + 1e-6)


def test_unknown_fractions_are_never_guessed(case):
    inputs, setup, region = case
    course = replace(paper(inputs), n_fractions_delivered=None)
    with pytest.raises(MissingDataError, match="stays unknown"):
        reconstruct_course(course, stated(region), setup)


def test_a_field_too_large_for_the_machine_is_refused(case):
    inputs, setup, region = case
    with pytest.raises(InputError, match="one by one"):
        reconstruct_course(
            replace(paper(inputs)), stated(region, margin_mm=(99.0, 99.0)), _narrow(setup)
        )


def _narrow(setup):
    machine = replace(setup.machine, jaw_y_limits_mm=(-50.0, 50.0))
    return replace(setup, machine=machine)


def test_bad_statements_are_refused(case):
    _, _, region = case
    for bad in ({"dose_gy": 0.0}, {"margin_mm": (9.0, 5.0)}, {"angles_deg": ()}):
        with pytest.raises(InputError, match="at least one technique"):
            stated(region, **bad)
    with pytest.raises(InputError, match="uncertainty of place"):
        stated(region, place_uncertainty_mm=-1.0)


def test_point_doses_bound_their_organs_and_nothing_else(case):
    inputs, setup, region = case
    plexus = rasterize(inputs.structures["SacralPlex_R"], setup.grid)
    band = bound_from_points(
        paper(inputs), [(plexus, 46.0), (region, 50.0)], setup.grid, "summary sheet"
    )
    values = band.upper.values
    inside = np.zeros(setup.grid.shape, dtype=bool)
    for mask in (plexus, region):
        inside[setup.grid.region_of(mask.grid)] |= mask.fraction > 0
    # Where the two overlap, the higher holds; beyond a rim of one voxel nothing is known.
    assert set(np.unique(values[inside])) == {np.float32(46.0), np.float32(50.0)}
    assert np.all(values[setup.grid.region_of(region.grid)][region.fraction > 0] == 50.0)
    rim = ndimage.binary_dilation(inside, structure=np.ones((3, 3, 3)))
    assert np.isnan(values[~rim]).all()
    assert np.isfinite(values[rim]).all()
    assert band.best is None
    assert band.course.grade is RecordGrade.DVH_OR_POINTS
    with pytest.raises(InputError, match="at least one organ"):
        bound_from_points(paper(inputs), [], setup.grid, "sheet")
    empty = Mask("x", StructureKind.OAR, np.zeros(setup.grid.shape, np.float32), setup.grid)
    assert np.isnan(
        bound_from_points(paper(inputs), [(empty, 1.0)], setup.grid, "s").upper.values
    ).all()
