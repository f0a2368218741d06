"""Planning volumes: exact Euclidean margins around targets and organs at risk, and their names.

References
----------
.. [1] Mayo et al. (2018), Int. J. Radiat. Oncol. Biol. Phys. 100, 1057,
   doi:10.1016/j.ijrobp.2017.12.013 (AAPM Task Group 263).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from rerad.core import Grid, Mask, StructureKind
from rerad.errors import InputError
from rerad.structures import Margin6, margin


def make_ptv(ctv: Mask, parent: Grid, margin_mm: float | Margin6, *, name: str) -> Mask:
    """Return the planning target volume of a target.

    Parameters
    ----------
    ctv : Mask
        Clinical (or gross tumour) volume on a crop of `parent`.
    parent : Grid
        Grid that bounds the result.
    margin_mm : float or Margin6
        0 mm or more; the department's choice, without default.
    name : str
        Of the result, such as ``PTV_4000``.

    Raises
    ------
    InputError
        If the margin contracts.
    """
    return replace(_grown(ctv, parent, margin_mm), name=name, kind=StructureKind.PTV)


def make_prv(organ: Mask, parent: Grid, margin_mm: float | Margin6) -> Mask:
    """Return the planning risk volume of an organ, named after TG-263.

    The name is the organ's with ``_PRV`` and the margin in whole mm in two digits; the largest
    of six.

    Raises
    ------
    InputError
        If the margin contracts.
    """
    largest_mm = max(margin_mm.values_mm) if isinstance(margin_mm, Margin6) else margin_mm
    name = f"{organ.name}_PRV{round(largest_mm):02d}"
    return replace(_grown(organ, parent, margin_mm), name=name, kind=StructureKind.PRV)


def _grown(volume: Mask, parent: Grid, margin_mm: float | Margin6) -> Mask:
    values = margin_mm.values_mm if isinstance(margin_mm, Margin6) else (float(margin_mm),)
    if min(values) < 0:
        msg = f"{volume.name}: expected a margin of 0 mm or more around a planning volume, got "
        msg += f"{margin_mm}; contract in a step of its own"
        raise InputError(msg)
    return margin(volume, parent, margin_mm)


def smooth_keeping_volume(volume: Mask, parent: Grid, sigma_mm: float) -> Mask:
    """Smooth the surface of a volume without changing how large it is.

    The shares are blurred by a Gaussian; the voxels with the highest blurred shares, as many as
    hold the volume before, are the volume after.

    Parameters
    ----------
    volume : Mask
        On a crop of `parent`.
    parent : Grid
        Grid that bounds the result.
    sigma_mm : float
        Standard deviation of the Gaussian, above 0. Parts thinner than about twice of it
        disappear, and their volume goes elsewhere.

    Returns
    -------
    Mask
        Of voxels wholly inside but one, which holds the rest: the volume is kept exactly.

    Raises
    ------
    InputError
        If `sigma_mm` is not above 0.
    """
    if not sigma_mm > 0:
        msg = f"{volume.name}: expected a smoothing length above 0 mm, got {sigma_mm}"
        raise InputError(msg)
    sigma = sigma_mm / np.asarray(parent.spacing_mm)[::-1]
    pad = np.ceil(3 * sigma).astype(int) + 1
    region = parent.region_of(volume.grid)
    start = [max(0, s.start - int(n)) for s, n in zip(region, pad, strict=True)]
    stop = [
        min(size, s.stop + int(n)) for s, n, size in zip(region, pad, parent.shape, strict=True)
    ]
    box = parent.crop((start[0], start[1], start[2]), (stop[0], stop[1], stop[2]))
    shares = volume.on(box).astype(np.float64)
    blurred = gaussian_filter(shares, sigma, mode="constant")
    fraction = _highest(blurred, float(shares.sum()))
    return replace(volume, fraction=fraction, grid=box)


def _highest(values: NDArray[np.float64], total: float) -> NDArray[np.float32]:
    """Return 1 for the highest values, `total` of them, the last one in part."""
    order = np.argsort(values, axis=None, kind="stable")[::-1]
    n_whole = int(total + 1e-9)
    out = np.zeros(values.size, dtype=np.float32)
    out[order[:n_whole]] = 1.0
    if n_whole < values.size:
        out[order[n_whole]] = max(total - n_whole, 0.0)
    return out.reshape(values.shape)
