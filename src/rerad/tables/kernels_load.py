"""Read the physics tables of the photon dose: point kernels, coefficients of water, spectra."""

import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rerad.errors import MissingDataError

Array = NDArray[np.float64]


def _read_toml(name: str) -> dict[str, Any]:
    text = resources.files("rerad.tables").joinpath(name).read_text(encoding="utf-8")
    return tomllib.loads(text)


def read_point_kernels() -> tuple[Mapping[str, Array], str]:
    """Read the point kernels that ship, ``point_kernels.npz``.

    Returns
    -------
    mapping of str to ndarray
        ``energy_mev`` (E,), ``radius_mm`` (R + 1,), ``polar_angle_deg`` (A + 1,), ``primary`` and
        ``scatter`` (E, R, A): share of the released energy in each bin; ``escaped`` (E, 2): what
        left the last shell of each.
    str
        Where they come from.
    """
    with resources.files("rerad.tables").joinpath("point_kernels.npz").open("rb") as file:
        archive = np.load(file, allow_pickle=False)
        arrays = {name: np.asarray(archive[name], dtype=np.float64) for name in archive.files}
    record = _read_toml("point_kernels.toml")
    source = (
        f"{record['source']}; {record['histories_per_energy']} histories per energy, "
        f"seed {record['seed']}"
    )
    return arrays, source


def read_photon_water() -> Mapping[str, Array]:
    """Read the photon coefficients of water, ``photon_water.toml``.

    Returns
    -------
    mapping of str to ndarray of shape (N,)
        ``energy_mev``; in cm2/g ``total``, ``energy_absorption``, ``coherent`` and
        ``photoelectric``.
    """
    columns = _read_toml("photon_water.toml")["water"]
    return {name: np.asarray(column, dtype=np.float64) for name, column in columns.items()}


def read_ali_rogers_parameters(name: str) -> Mapping[str, float]:
    """Read the parameters of a published spectrum, ``photon_spectra.toml``.

    Parameters
    ----------
    name : str
        Such as ``"elekta-6mv"``.

    Returns
    -------
    mapping of str to float
        ``electron_mev``, ``tungsten``, ``aluminium``, ``shape`` and ``annihilation_mev``.

    Raises
    ------
    MissingDataError
        If no spectrum has this name.
    """
    spectra = _read_toml("photon_spectra.toml")["ali_rogers"]
    if name not in spectra:
        msg = f"expected a published spectrum, one of {', '.join(sorted(spectra))}, got {name!r}"
        raise MissingDataError(msg)
    return {key: float(value) for key, value in spectra[name].items()}
