"""Machine files: what ships is as described, what is wrong is refused by name."""

import numpy as np
import pytest

from rerad.dosecalc import load_machine
from rerad.errors import InputError, MissingDataError
from rerad.tables.machines_load import MACHINES


@pytest.fixture
def own_machine(tmp_path):
    """A copy of the shipped machine that a user might edit."""
    text = (MACHINES / "generic_6mv.toml").read_text(encoding="utf-8")
    kernel = (MACHINES / "generic_6mv_kernel.json").read_text(encoding="utf-8")
    (tmp_path / "generic_6mv_kernel.json").write_text(kernel, encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_machine_is_like_a_millennium_120_and_not_commissioned():
    machine = load_machine("generic_6mv")
    widths = np.diff(machine.mlc.leaf_boundaries_mm)
    assert machine.mlc.n_leaf_pairs == 60
    np.testing.assert_array_equal(widths[:10], 10.0)
    np.testing.assert_array_equal(widths[10:50], 5.0)
    np.testing.assert_array_equal(widths[50:], 10.0)
    assert machine.mlc.leaf_boundaries_mm[[0, -1]].tolist() == [-200.0, 200.0]
    assert not machine.is_commissioned
    assert "not commissioned" in machine.source
    assert "pyRadMC" in machine.beam.kernel.source


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


def test_missing_files_are_named(own_machine):
    with pytest.raises(MissingDataError, match="no_such_machine"):
        load_machine("no_such_machine")
    (own_machine.parent / "generic_6mv_kernel.json").unlink()
    with pytest.raises(MissingDataError, match="generic_6mv_kernel"):
        load_machine(own_machine)
