"""Read machine files: a TOML table that people edit, and the kernel beside it.

The first lines of the TOML file say where its numbers come from; units are in the keys.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

MACHINES = Path(__file__).parent / "machines"
"""Folder of the machines that ship."""

REQUIRED: dict[str, frozenset[str]] = {
    "machine": frozenset(
        {
            "name",
            "manufacturer",
            "model",
            "energy_mv",
            "sad_mm",
            "dose_rate_mu_min",
            "is_commissioned",
            "source",
        }
    ),
    "jaws": frozenset({"x_limits_mm", "y_limits_mm"}),
    "mlc": frozenset(
        {
            "leaf_boundaries_mm",
            "leaf_position_min_mm",
            "leaf_position_max_mm",
            "leaf_span_max_mm",
            "leaf_speed_max_mm_s",
            "leaf_gap_min_mm",
            "transmission",
            "dosimetric_leaf_gap_mm",
        }
    ),
    "beam": frozenset({"kernel", "source_sigma_mm", "off_axis_radius_mm", "off_axis_ratio"}),
    "reference": frozenset({"field_mm", "ssd_mm", "depth_mm", "dose_per_mu_gy"}),
}
"""Keys of each section of a machine file: all are needed, no others are known."""


def machine_names() -> tuple[str, ...]:
    """Return the names of the machines that ship."""
    return tuple(sorted(path.stem for path in MACHINES.glob("*.toml")))


def read_machine_tables(name_or_path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a machine's TOML file and its kernel file.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a shipped machine, or path of a TOML file.

    Returns
    -------
    machine : dict
        Sections and keys of `REQUIRED`.
    kernel : dict
        ``depth_mm``, ``radius_mm``, ``dose`` and ``source``, and how it was made.

    Raises
    ------
    FileNotFoundError
        If the machine or its kernel is not there.
    KeyError
        If a section or key is missing or unknown.
    """
    text = str(name_or_path)
    path = MACHINES / f"{text}.toml" if text in machine_names() else Path(text)
    with path.open("rb") as stream:
        table = tomllib.load(stream)
    if set(table) != set(REQUIRED):
        msg = f"expected sections {sorted(REQUIRED)}, got {sorted(table)}"
        raise KeyError(msg)
    for section, keys in REQUIRED.items():
        wrong = keys.symmetric_difference(table[section])
        if wrong:
            msg = f"section [{section}] lacks or does not know {sorted(wrong)}"
            raise KeyError(msg)
    kernel = json.loads((path.parent / table["beam"]["kernel"]).read_text(encoding="utf-8"))
    return table, kernel


def read_hounsfield_tables() -> dict[str, dict[str, Any]]:
    """Read the curves from CT number to density, by name."""
    with (Path(__file__).parent / "hu_density.toml").open("rb") as stream:
        return tomllib.load(stream)
