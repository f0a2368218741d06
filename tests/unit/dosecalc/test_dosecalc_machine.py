"""Machine files: what ships is as described, what is wrong is refused by name."""

import json

import numpy as np
import pytest

from rerad.dosecalc import load_machine
from rerad.dosecalc.pencil_kernel import derive_pencil_kernel
from rerad.dosecalc.spectrum import mean_energy_mev
from rerad.errors import InputError, MissingDataError
from rerad.tables.machines_load import MACHINES, machine_names


@pytest.fixture
def own_machine(tmp_path):
    """A copy of the shipped machine that a user might edit."""
    text = (MACHINES / "generic_6mv.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_generic_machine_is_like_a_millennium_120_and_not_commissioned():
    machine = load_machine("generic_6mv")
    widths = np.diff(machine.mlc.leaf_boundaries_mm)
    assert machine.mlc.n_leaf_pairs == 60
    np.testing.assert_array_equal(widths[:10], 10.0)
    np.testing.assert_array_equal(widths[10:50], 5.0)
    np.testing.assert_array_equal(widths[50:], 10.0)
    assert machine.mlc.leaf_boundaries_mm[[0, -1]].tolist() == [-200.0, 200.0]
    assert not machine.is_commissioned
    assert "not commissioned" in machine.source


def test_generic_machine_has_a_beam_without_flattening_filter():
    flat, peaked = load_machine("generic_6mv"), load_machine("generic_6mv", beam="6X-FFF")
    assert (flat.beam.name, peaked.beam.name) == ("6X", "6X-FFF")
    assert flat.beam.is_flattened
    assert not peaked.beam.is_flattened
    assert peaked.dose_rate_mu_min > 2.0 * flat.dose_rate_mu_min
    assert np.all(np.diff(peaked.beam.off_axis_ratio) < 0)
    assert mean_energy_mev(peaked.beam.spectrum) < 0.8 * mean_energy_mev(flat.beam.spectrum)
    assert peaked.beam.head_scatter.share < flat.beam.head_scatter.share


def test_agility_like_machine_has_leaves_of_5_mm_and_no_x_jaws():
    assert machine_names() == ("agility_like_6mv", "generic_6mv")
    machine = load_machine("agility_like_6mv")
    assert machine.mlc.n_leaf_pairs == 80
    np.testing.assert_array_equal(np.diff(machine.mlc.leaf_boundaries_mm), 5.0)
    assert machine.jaw_x_limits_mm is None
    assert machine.field_x_limits_mm == (-200.0, 200.0)
    assert not machine.is_commissioned
    # Rounded leaf ends blur more than the diaphragm.
    assert machine.beam.focal_sigma_mm[0] > machine.beam.focal_sigma_mm[1]


def test_kernel_is_derived_once_for_each_spectrum():
    machine, again = load_machine("generic_6mv"), load_machine("generic_6mv")
    assert machine.beam.kernel is again.beam.kernel
    expected = derive_pencil_kernel(machine.beam.spectrum)
    np.testing.assert_array_equal(machine.beam.kernel.dose, expected.dose)


def test_kernel_is_smooth_and_falls():
    kernel = load_machine("generic_6mv").beam.kernel
    area = np.pi * np.diff(kernel.radius_mm**2)
    broad = kernel.dose @ area
    deep = kernel.depth_mm >= 30.0
    # A broad parallel 6 MV beam loses 1.5 to 4.5 % per cm beyond build-up, without jumps.
    per_cm = -10.0 * np.diff(np.log(broad[deep])) / np.diff(kernel.depth_mm[deep])
    assert per_cm.min() > 0.015
    assert per_cm.max() < 0.045
    assert np.abs(np.diff(per_cm)).max() < 0.004
    assert np.all(kernel.dose > 0)
    assert np.all(np.diff(kernel.dose, axis=1)[deep[: len(kernel.dose)]] < 0)


def test_a_users_copy_gives_the_same_machine(own_machine):
    mine, shipped = load_machine(own_machine), load_machine("generic_6mv")
    np.testing.assert_array_equal(mine.beam.kernel.dose, shipped.beam.kernel.dose)
    assert mine.mlc.transmission == shipped.mlc.transmission


def test_a_kernel_file_is_used_instead_of_the_derived_kernel(own_machine):
    kernel = {
        "depth_mm": [10.0, 100.0],
        "radius_mm": [0.0, 5.0, 50.0],
        "dose": [[3.0, 1.0], [2.0, 0.5]],
        "source": "two shells by hand",
    }
    (own_machine.parent / "mine.json").write_text(json.dumps(kernel), encoding="utf-8")
    text = own_machine.read_text(encoding="utf-8")
    named = text.replace("[beams.6X]\n", '[beams.6X]\nkernel = "mine.json"\n')
    own_machine.write_text(named, encoding="utf-8")
    assert load_machine(own_machine).beam.kernel.dose.tolist() == kernel["dose"]
    assert load_machine(own_machine).beam.kernel.source == "two shells by hand"
    (own_machine.parent / "mine.json").unlink()
    with pytest.raises(MissingDataError, match=r"mine\.json"):
        load_machine(own_machine)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("transmission = 0.015", "transmision = 0.015", "transmis"),
        ("transmission = 0.015", "transmission = 1.5", "transmission"),
        ("[jaws]", "[jawz]", "sections"),
        ('name = "GENERIC_6MV"', 'name = "A_NAME_THAT_IS_TOO_LONG"', "16 characters"),
        ("sad_mm = 1000.0", 'sad_mm = "far"', "far"),
    ],
)
def test_wrong_files_are_refused(own_machine, old, new, match):
    text = own_machine.read_text(encoding="utf-8")
    assert old in text
    own_machine.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError, match=match):
        load_machine(own_machine)


def test_missing_files_and_beams_are_named():
    with pytest.raises(MissingDataError, match="no_such_machine"):
        load_machine("no_such_machine")
    with pytest.raises(InputError, match="there is no beam 15X; the file has 6X, 6X-FFF"):
        load_machine("generic_6mv", beam="15X")
