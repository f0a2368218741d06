"""Read machine files: a TOML table that people edit, and the kernel beside it.

The first lines of the TOML file say where its numbers come from; units are in the keys.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

MACHINES = Path(__file__).parent / "machines"
"""Folder of the machines that ship."""

SECTIONS = frozenset({"machine", "jaws", "mlc", "beams"})
"""Sections of a machine file; ``[beams]`` holds one table for each beam."""

REQUIRED: dict[str, frozenset[str]] = {
    "machine": frozenset({"name", "manufacturer", "model", "sad_mm", "is_commissioned", "source"}),
    "jaws": frozenset({"y_limits_mm", "transmission"}),
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
            "tip_radius_mm",
            "tongue_and_groove_mm",
            "is_interdigitation_allowed",
        }
    ),
    "beam": frozenset(
        {
            "energy_mv",
            "is_flattened",
            "dose_rate_mu_min",
            "spectrum",
            "off_axis_radius_mm",
            "off_axis_ratio",
            "off_axis_depth_scale",
            "focal_sigma_mm",
            "head_scatter",
            "electrons",
            "reference",
        }
    ),
    "spectrum": frozenset({"energy_mev", "energy_fluence"}),
    "head_scatter": frozenset({"share", "sigma_mm"}),
    "electrons": frozenset({"surface_share", "depth_mm", "sigma_mm"}),
    "reference": frozenset({"field_mm", "ssd_mm", "depth_mm", "dose_per_mu_gy"}),
}
"""Keys that each section of a machine file must have."""

OPTIONAL: dict[str, frozenset[str]] = {
    "jaws": frozenset({"x_limits_mm"}),
    "mlc": frozenset({"is_dynamic"}),
    "beam": frozenset({"kernel"}),
}
"""Keys that a section may have; no others are known. Without `is_dynamic` it is true."""


def machine_names() -> tuple[str, ...]:
    """Return the names of the machines that ship."""
    return tuple(sorted(path.stem for path in MACHINES.glob("*.toml")))


def read_machine_tables(
    name_or_path: str | Path, *, beam: str | None = None
) -> tuple[dict[str, Any], str, Path]:
    """Read a machine's TOML file and find the beam that is wanted.

    Parameters
    ----------
    name_or_path : str or Path
        Name of a shipped machine, or path of a TOML file.
    beam : str, optional
        Name of a beam; the first in the file by default.

    Returns
    -------
    machine : dict
        Sections and keys of `REQUIRED` and `OPTIONAL`.
    beam : str
        Name of the beam.
    folder : Path
        Where the file lies.

    Raises
    ------
    FileNotFoundError
        If the machine is not there.
    KeyError
        If a section or key is missing or unknown, or there is no such beam.
    """
    text = str(name_or_path)
    path = MACHINES / f"{text}.toml" if text in machine_names() else Path(text)
    with path.open("rb") as stream:
        table = tomllib.load(stream)
    if set(table) != SECTIONS or not table["beams"]:
        msg = f"expected sections {sorted(SECTIONS)} with at least one beam, got {sorted(table)}"
        raise KeyError(msg)
    for section in SECTIONS - {"beams"}:
        _require_keys(table[section], section, f"[{section}]")
    chosen = next(iter(table["beams"])) if beam is None else beam
    if chosen not in table["beams"]:
        msg = f"there is no beam {chosen}; the file has {', '.join(table['beams'])}"
        raise KeyError(msg)
    for name, values in table["beams"].items():
        _require_keys(values, "beam", f"[beams.{name}]")
        for part in ("spectrum", "head_scatter", "electrons", "reference"):
            _require_keys(values[part], part, f"[beams.{name}.{part}]")
    return table, chosen, path.parent


def _require_keys(section: dict[str, Any], kind: str, where: str) -> None:
    """Raise unless a section has the keys of its kind."""
    have, needed = set(section), REQUIRED[kind]
    wrong = (needed - have) | (have - needed - OPTIONAL.get(kind, frozenset()))
    if wrong:
        msg = f"section {where} lacks or does not know {sorted(wrong)}"
        raise KeyError(msg)


def read_pencil_kernel(path: Path) -> dict[str, Any]:
    """Read a tabulated pencil kernel.

    Parameters
    ----------
    path : Path
        A JSON file with ``depth_mm``, ``radius_mm``, ``dose`` and ``source``.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    """
    return dict(json.loads(path.read_text(encoding="utf-8")))


def read_hounsfield_tables() -> dict[str, dict[str, Any]]:
    """Read the curves from CT number to density, by name."""
    with (Path(__file__).parent / "hu_density.toml").open("rb") as stream:
        return tomllib.load(stream)
