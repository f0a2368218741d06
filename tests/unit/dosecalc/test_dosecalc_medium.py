"""Dose to medium from dose to water: published ratios, and no mixing of the two."""

from dataclasses import replace

import numpy as np
import pytest

from rerad.core import Dose, DoseQuantity, Grid, Image, ImageUnit, Modality
from rerad.dosecalc.medium import WaterDose, dose_to_medium, is_to_medium
from rerad.errors import FrameMismatchError, InputError, QuantityMismatchError
from rerad.imaging import load_materials

GRID = Grid((1, 1, 5), (0.0, 0.0, 0.0), (2.0, 2.0, 2.0), "1.2.3")
MATERIALS = load_materials()
ELECTRONS = [0.0, *(MATERIALS.electron_density[[2, 3, 4, 5]])]
"""Nothing, adipose tissue, water, muscle, cortical bone."""


def density(values=ELECTRONS, grid=GRID, unit=ImageUnit.DENSITY):
    values = np.asarray(values, dtype=np.float32).reshape(grid.shape)
    return Image(values, grid, Modality.CT, unit)


def dose(label="plan, 25 fractions"):
    return Dose(np.full(GRID.shape, 50.0), GRID, label=label, instance_uid="1.2")


def test_the_engines_dose_goes_by_energy_absorption():
    found = dose_to_medium(dose(), density(), MATERIALS).values[0, 0] / 50
    # NIST SRD 126 mass energy-absorption coefficients at 1.5 and 3 MeV, over those of water: the
    # mean over a 6 MV beam lies between them.
    at_low = np.array([2.547, 2.839, 2.833, 2.808, 2.623]) / 2.833
    at_high = np.array([2.057, 2.275, 2.281, 2.259, 2.145]) / 2.281
    low, high = np.minimum(at_low, at_high), np.maximum(at_low, at_high)
    assert np.all(found > low - 0.002)
    assert np.all(found < high + 0.004)
    assert found[2] == pytest.approx(1.0)
    assert found[4] == pytest.approx(0.943, abs=0.001)


def test_a_cavity_dose_goes_by_stopping_power():
    found = dose_to_medium(dose(), density(), MATERIALS, kind=WaterDose.CAVITY).values[0, 0]
    # Water over medium, 6 MV: cortical bone nearly 1.14, adipose about 0.98
    # (Fernandez-Varea 2007, Phys Med Biol 52, 6475), soft tissue 1.010 (Siebers 2000).
    np.testing.assert_allclose(50 / found[[4, 1, 3]], [1.14, 0.98, 1.010], atol=0.008)
    assert found[2] == pytest.approx(50)


def test_a_mixture_lies_between_its_parts():
    bone = MATERIALS.electron_density[5]
    half = np.linspace(1.0404, bone, 5)
    for kind in WaterDose:
        found = dose_to_medium(dose(), density(half), MATERIALS, kind=kind).values[0, 0]
        assert np.all(np.diff(found) < 0)


def test_the_two_doses_do_not_mix_by_accident():
    found = dose_to_medium(dose(), density(), MATERIALS)
    assert found.label == "plan, 25 fractions, dose to medium"
    assert found.instance_uid == ""
    assert is_to_medium(found)
    assert not is_to_medium(dose())
    with pytest.raises(QuantityMismatchError, match="expected a physical dose to water"):
        dose_to_medium(found, density(), MATERIALS)
    eqd2 = replace(dose(), quantity=DoseQuantity.EQD2, alpha_beta_gy=3.0)
    with pytest.raises(QuantityMismatchError, match="EQD2"):
        dose_to_medium(eqd2, density(), MATERIALS)


def test_unknown_stays_unknown_and_grids_are_matched():
    values = np.full(GRID.shape, 50.0)
    values[0, 0, 3] = np.nan
    unknown = replace(dose(""), values=values)
    wide = Grid((3, 3, 9), (-2.0, -2.0, -2.0), (2.0, 2.0, 2.0), "1.2.3")
    found = dose_to_medium(unknown, density(np.ones(wide.shape), wide), MATERIALS)
    np.testing.assert_array_equal(found.values, unknown.values)
    assert found.label == "dose to medium"
    other = Grid(GRID.shape, GRID.origin_mm, GRID.spacing_mm, "9.9")
    with pytest.raises(FrameMismatchError):
        dose_to_medium(dose(), density(grid=other), MATERIALS)
    with pytest.raises(InputError, match="image of density"):
        dose_to_medium(dose(), density(unit=ImageUnit.HU), MATERIALS)
