"""Layers of a slab phantom, from TOML."""

import tomllib
from pathlib import Path

from rerad.dosecalc.commission import SlabLayer
from rerad.errors import CaseError


def read_slab(path: Path) -> tuple[SlabLayer, ...]:
    """Read the layers of a slab phantom from TOML.

    Parameters
    ----------
    path : Path
        One ``[[layers]]`` table for each layer from the surface down, each with `thickness_mm` and
        `density_g_cm3`.

    Returns
    -------
    tuple of SlabLayer

    Raises
    ------
    CaseError
        If the file cannot be read, a key is missing or unknown, or a value is no number.
    InputError
        If a number is out of range.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"{path}: expected a TOML file of layers, but it cannot be read: {error}"
        raise CaseError(msg) from error
    keys = {"thickness_mm", "density_g_cm3"}
    layers = content.get("layers")
    if set(content) != {"layers"} or not isinstance(layers, list) or not layers:
        msg = f"{path}: expected [[layers]] tables and nothing else, got {sorted(content)}"
        raise CaseError(msg)
    for n, layer in enumerate(layers, 1):
        is_table = isinstance(layer, dict) and set(layer) == keys
        if not is_table or not all(type(value) in {int, float} for value in layer.values()):
            msg = f"{path}: expected layer {n} to give thickness_mm and density_g_cm3 as numbers"
            raise CaseError(msg)
    return tuple(
        SlabLayer(float(layer["thickness_mm"]), float(layer["density_g_cm3"])) for layer in layers
    )
