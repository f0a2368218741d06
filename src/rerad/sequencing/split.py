"""Fields wider than the leaves of a bank may spread are delivered in parts that overlap softly."""

import string
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from rerad.core import Fluence
from rerad.errors import DeliverabilityError, InputError


def split_weights(
    x_edges_mm: NDArray[np.float64], width_max_mm: float, feather_mm: float
) -> NDArray[np.float64]:
    """Return the share of each column that each part of a wide field delivers.

    Parameters
    ----------
    x_edges_mm : ndarray of shape (C + 1,)
        Column edges of the used field, ascending.
    width_max_mm : float
        Widest part.
    feather_mm : float
        Width of the overlap, over which the shares change linearly.

    Returns
    -------
    ndarray of shape (parts, C)
        Columns sum to 1; one row if the field fits.

    Raises
    ------
    InputError
        If the overlap is not above 0.
    DeliverabilityError
        If parts of this width could not overlap by it.
    """
    if not feather_mm > 0:
        msg = f"expected an overlap of split fields above 0 mm, got {feather_mm}"
        raise InputError(msg)
    first, last = float(x_edges_mm[0]), float(x_edges_mm[-1])
    width = last - first
    if width <= width_max_mm:
        return np.ones((1, len(x_edges_mm) - 1))
    # a part ends on a column edge, so that it may be one column wider than asked
    usable = width_max_mm - float(np.diff(x_edges_mm).max())
    if usable <= 2 * feather_mm:
        msg = (
            f"a field of {width:.0f} mm cannot be split: parts of {width_max_mm:.0f} mm leave no "
            f"room for an overlap of {feather_mm:.0f} mm"
        )
        raise DeliverabilityError(msg)
    n_parts = int(np.ceil((width - feather_mm) / (usable - feather_mm)))
    seams = first + feather_mm / 2 + (width - feather_mm) / n_parts * np.arange(1, n_parts)
    centers = 0.5 * (x_edges_mm[:-1] + x_edges_mm[1:])
    passed = np.clip((centers[None, :] - seams[:, None]) / feather_mm + 0.5, 0.0, 1.0)
    ones, zeros = np.ones((1, len(centers))), np.zeros((1, len(centers)))
    return np.asarray(np.concatenate((ones, passed)) - np.concatenate((passed, zeros)))


def split_field(fluence: Fluence, width_max_mm: float, feather_mm: float) -> tuple[Fluence, ...]:
    """Split a fluence into parts that are each narrow enough and that sum to it.

    Parameters
    ----------
    fluence : Fluence
        Of one beam.
    width_max_mm : float
        Widest part.
    feather_mm : float
        Width of the overlap.

    Returns
    -------
    tuple of Fluence
        The fluence itself if it fits; else parts from negative to positive x whose beams are
        named with a letter after the beam's own name.
    """
    used = np.flatnonzero(np.any(fluence.values_mu > 0, axis=0))
    if len(used) == 0:
        return (fluence,)
    columns = slice(used[0], used[-1] + 1)
    edges = fluence.grid.x_edges_mm[used[0] : used[-1] + 2]
    shares = split_weights(edges, width_max_mm, feather_mm)
    if len(shares) == 1:
        return (fluence,)
    parts = []
    for letter, share in zip(string.ascii_lowercase, shares, strict=False):
        values = np.zeros_like(fluence.values_mu)
        values[:, columns] = fluence.values_mu[:, columns] * share
        geometry = replace(fluence.grid.geometry, name=f"{fluence.grid.geometry.name}{letter}")
        parts.append(Fluence(replace(fluence.grid, geometry=geometry), values))
    return tuple(parts)


def balance_parts(parts: Sequence[Fluence], least_mu: Sequence[float]) -> tuple[Fluence, ...]:
    """Shift fluence between overlapping parts so that neither gets less than it can deliver.

    A small share of a small fluence may be less than what a crossing leaf pair leaves behind;
    the neighbour then takes that much less, and the sum stays as it was.

    Parameters
    ----------
    parts : sequence of Fluence
        As from :func:`split_field`, on the same columns.
    least_mu : sequence of float
        Least fluence that each part gives a column that it crosses.

    Returns
    -------
    tuple of Fluence
        The same sum. Where even both least fluences together are more than is wanted, they
        share it in proportion.
    """
    values = [part.values_mu.copy() for part in parts]
    for number in range(len(parts) - 1):
        here, there = values[number], values[number + 1]
        overlap = np.any(here > 0, axis=0) & np.any(there > 0, axis=0)
        both = (here + there)[:, overlap]
        low, high = least_mu[number], least_mu[number + 1]
        fair = np.clip(here[:, overlap], low, np.maximum(both - high, low))
        scarce = both < low + high
        fair[scarce] = both[scarce] * (low / (low + high))
        here[:, overlap] = fair
        there[:, overlap] = both - fair
    return tuple(
        Fluence(part.grid, np.maximum(value, 0.0))
        for part, value in zip(parts, values, strict=True)
    )
