"""The optimiser's operator against the final dose, on the demo pelvis, before any correction."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from rerad.core import Dose, Plan, StructureSet
from rerad.dosecalc import (
    build_operator,
    final_dose,
    join_fluence,
    load_machine,
    make_bixel_grid,
    split_fluence,
)
from rerad.evaluation import GammaCriterion, gamma_index
from rerad.imaging import load_hounsfield_curve
from rerad.phantoms import PelvisVisit, make_pelvis
from rerad.planning import (
    MediumSettings,
    coplanar_beams,
    dose_grid_for,
    external_of,
    isocenter_of,
    make_medium,
)
from rerad.sequencing import SequenceSettings, sequence_sliding_window
from rerad.structures import contours_from_mask, rasterize

N_FRACTIONS = 22
SPACING_MM = 4.0


@pytest.fixture(scope="module")
def pelvis():
    visit = PelvisVisit("1.2.826.0.1.3680043.10.543.1", has_lesion=True)
    return make_pelvis(visit, seed=1, in_plane_mm=2.0, slice_mm=4.0, shape_ji=(256, 256))


@pytest.fixture(scope="module")
def scene(pelvis):
    """Density on the dose grid, and the target's voxels."""
    structures = StructureSet(
        "demo",
        tuple(
            contours_from_mask(
                pelvis.masks[name].fraction,
                pelvis.masks[name].grid,
                name=name,
                kind=pelvis.masks[name].kind,
            )
            for name in ("Body", "PTV_3600")
        ),
    )
    body = external_of(structures)
    grid = dose_grid_for(pelvis.ct, body, SPACING_MM)
    settings = MediumSettings(load_hounsfield_curve("schneider_2000"))
    outline = rasterize(body, grid)
    medium = make_medium(pelvis.ct, structures, outline, grid, settings)
    return grid, medium.patient, rasterize(structures["PTV_3600"], grid), outline


@pytest.mark.slow
@pytest.mark.workflow
def test_operator_and_final_dose_pass_gamma_before_correction(scene):
    grid, density, target, body = scene
    machine = load_machine("generic_6mv")
    position = density.patient_position
    beams = coplanar_beams(tuple(range(0, 360, 40)), 0.0, isocenter_of(target))
    inside = np.argwhere(target.on(grid) > 0.5)
    bixels = [
        make_bixel_grid(
            beam,
            machine,
            grid.points(inside),
            margin_mm=5.0,
            column_width_mm=5.0,
            position=position,
        )
        for beam in beams
    ]
    rng = np.random.default_rng(7)
    modulated = [
        gaussian_filter(rng.uniform(0.0, 1.0, item.is_active.shape), 1.2)[item.is_active]
        for item in bixels
    ]
    fluence_mu = 2000.0 * np.concatenate(modulated)
    voxels = np.flatnonzero(body.on(grid) > 0.5)
    operator = build_operator(machine, density, voxels, grid, bixels, position)
    values = np.zeros(grid.n_voxels, dtype=np.float32)
    values[voxels] = operator.forward(fluence_mu)
    planned = Dose(values.reshape(grid.shape), grid)

    delivered = []
    for fluence in split_fluence(bixels, fluence_mu):
        delivered += sequence_sliding_window(
            fluence,
            machine,
            n_fractions=N_FRACTIONS,
            first_beam_number=len(delivered) + 1,
            settings=SequenceSettings(),
        )
    assert join_fluence(split_fluence(bixels, fluence_mu)) == pytest.approx(fluence_mu)
    plan = Plan("G", grid.frame_uid, position, machine.name, N_FRACTIONS, (), tuple(delivered))
    final = final_dose(plan, machine, density, grid)
    found = gamma_index(final, planned, GammaCriterion(3.0, 3.0, False, 10.0))
    assert found.n_judged > 10_000
    assert found.pass_rate >= 0.95
