"""Transport of photons and electrons in infinite water after one forced interaction.

Photons are followed from collision to collision. Electrons and positrons are followed by
class-II condensed history: elastic collisions beyond a small angle, knock-on electrons and
bremsstrahlung one by one; what is softer as continuous loss and one deflection at a random hinge
of each step. See docs/methods/point-kernels.md.

Everything is in mm and MeV; the forced interaction lies at the origin, the photon flies along +z.
A particle is a row (kind, class, energy, x, y, z, u, v, w).
"""

# The generator is the one of compiled code, seeded for each batch. Nothing is cached on disk: a
# cache would not notice that a constant of water_physics has changed.
# ruff: noqa: NPY002

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from water_physics import (
    DELTA_CUT_MEV,
    ELECTRON_CUT_MEV,
    ELECTRON_GRID_MEV,
    ELECTRON_MASS_MEV,
    PAIR_QUANTILES,
    PHOTON_CUT_MEV,
    PHOTON_GRID_MEV,
    SCATTER_ELECTRON_CUT_MEV,
    STEP_LOSS,
    Array,
)

PHOTON, ELECTRON, POSITRON = 0, 1, 2
PRIMARY, SCATTER = 0, 1
STACK = 2000
LOG_PHOTON = float(np.log(PHOTON_GRID_MEV[0]))
PHOTON_STEP = float(np.log(PHOTON_GRID_MEV[1]) - LOG_PHOTON)
N_PHOTON = len(PHOTON_GRID_MEV)
LOG_ELECTRON = float(np.log(ELECTRON_GRID_MEV[0]))
ELECTRON_STEP = float(np.log(ELECTRON_GRID_MEV[1]) - LOG_ELECTRON)
N_ELECTRON = len(ELECTRON_GRID_MEV)
STOPPING, MAJORANT, HARD, MOLLER, BREMS, CUT, BY_ELECTRON, SOFT, ANNIHILATION = range(9)
COMPTON, PHOTO, PAIR = range(3)
FINE_STRUCTURE = 1.0 / 137.035999
MOTT_MAX = 1.15
"""Above the largest value of the spin factor of oxygen."""


class Tally(NamedTuple):
    """Where energy went: (class, radius, angle), and what left the last shell, per class."""

    energy: Array
    escaped: Array


@njit
def _photon_index(energy: float) -> tuple[int, float]:
    x = (np.log(energy) - LOG_PHOTON) / PHOTON_STEP
    i = min(max(int(x), 0), N_PHOTON - 2)
    return i, x - i


@njit
def _look_up(table: Any, row: int, energy: float) -> float:
    x = (np.log(energy) - LOG_ELECTRON) / ELECTRON_STEP
    i = min(max(int(x), 0), N_ELECTRON - 2)
    return table[row, i] + (x - i) * (table[row, i + 1] - table[row, i])


@njit
def _rotate(u: float, v: float, w: float, cosine: float) -> tuple[float, float, float, float]:
    """Turn a direction by a polar angle and a random azimuth, which is returned last."""
    azimuth = 2 * np.pi * np.random.random()
    return *_turn(u, v, w, cosine, azimuth), azimuth


@njit
def _turn(
    u: float, v: float, w: float, cosine: float, azimuth: float
) -> tuple[float, float, float]:
    sine = np.sqrt(max(0.0, 1 - cosine * cosine))
    c, s = sine * np.cos(azimuth), sine * np.sin(azimuth)
    across = np.sqrt(u * u + v * v)
    if across < 1e-7:
        flip = 1.0 if w > 0 else -1.0
        return c, s * flip, cosine * flip
    a, b = u / across, v / across
    nu = u * cosine + a * w * c - b * s
    nv = v * cosine + b * w * c + a * s
    nw = w * cosine - across * c
    norm = 1 / np.sqrt(nu * nu + nv * nv + nw * nw)
    return nu * norm, nv * norm, nw * norm


@njit
def _score(
    tally: Any, edges: Any, group: int, energy: float, place: tuple[float, float, float]
) -> None:
    x, y, z = place
    radius = np.sqrt(x * x + y * y + z * z)
    if radius >= edges[-1]:
        tally.escaped[group] += energy
        return
    shell = 0
    if radius >= edges[1]:
        shell = 1 + int(np.log(radius / edges[1]) / np.log(edges[2] / edges[1]))
        shell = min(shell, len(edges) - 2)
    n_angles = tally.energy.shape[2]
    angle = 0
    if radius > 0:
        angle = int(np.arccos(max(-1.0, min(1.0, z / radius))) / np.pi * n_angles)
    tally.energy[group, shell, min(angle, n_angles - 1)] += energy


@njit
def _push(stack: Any, top: int, kind: int, group: int, energy: float, where: Any) -> int:
    stack[top, 0], stack[top, 1], stack[top, 2] = kind, group, energy
    for axis in range(6):
        stack[top, 3 + axis] = where[axis]
    return top + 1


@njit
def _sample_compton(energy: float) -> tuple[float, float]:
    """Sample the scattered photon's energy and cosine (Butcher and Messel 1960)."""
    k = energy / ELECTRON_MASS_MEV
    low = 1 / (1 + 2 * k)
    a1, a2 = -np.log(low), 0.5 * (1 - low * low)
    while True:
        if np.random.random() * (a1 + a2) < a1:
            share = np.exp(-a1 * np.random.random())
        else:
            share = np.sqrt(low * low + (1 - low * low) * np.random.random())
        t = (1 - share) / (k * share)
        sine2 = t * (2 - t)
        if np.random.random() <= 1 - share * sine2 / (1 + share * share):
            return energy * share, 1 - t


@njit
def _forward_cosine(kinetic: float) -> float:
    """Cosine of an emission that is isotropic in the rest frame of a particle of this energy."""
    tau = kinetic / ELECTRON_MASS_MEV
    beta = np.sqrt(tau * (tau + 2)) / (tau + 1)
    x = 2 * np.random.random() - 1
    return (x + beta) / (1 + x * beta)


@njit
def _interact(photons: Any, sharing: Any, particle: Any, stack: Any, top: int, first: bool) -> Any:
    """Let a photon interact; return the new stack height and the energy absorbed at the spot."""
    energy = particle[2]
    i, f = _photon_index(energy)
    compton = photons[COMPTON, i] + f * (photons[COMPTON, i + 1] - photons[COMPTON, i])
    photo = photons[PHOTO, i] + f * (photons[PHOTO, i + 1] - photons[PHOTO, i])
    pair = photons[PAIR, i] + f * (photons[PAIR, i + 1] - photons[PAIR, i])
    group = PRIMARY if first else SCATTER
    where = particle[3:].copy()
    u, v, w = particle[6], particle[7], particle[8]
    choice = np.random.random() * (compton + photo + pair)
    absorbed = 0.0
    if choice < compton:
        scattered, cosine = _sample_compton(energy)
        kinetic = energy - scattered
        where[3], where[4], where[5], azimuth = _rotate(u, v, w, cosine)
        if scattered > PHOTON_CUT_MEV:
            top = _push(stack, top, PHOTON, SCATTER, scattered, where)
        else:
            absorbed += scattered
        momentum = np.sqrt(kinetic * (kinetic + 2 * ELECTRON_MASS_MEV))
        recoil = (energy - scattered * cosine) / momentum if momentum > 0 else 1.0
        where[3], where[4], where[5] = _turn(u, v, w, min(1.0, recoil), azimuth + np.pi)
        top = _push(stack, top, ELECTRON, group, kinetic, where)
    elif choice < compton + photo or energy <= 2 * ELECTRON_MASS_MEV:
        where[3], where[4], where[5], _ = _rotate(u, v, w, _forward_cosine(energy))
        top = _push(stack, top, ELECTRON, group, energy, where)
    else:
        x = np.random.random() * (PAIR_QUANTILES - 1)
        q = int(x)
        share = sharing[i, q] + (x - q) * (sharing[i, q + 1] - sharing[i, q])
        kinetic = energy - 2 * ELECTRON_MASS_MEV
        for kind, part in ((POSITRON, share * kinetic), (ELECTRON, (1 - share) * kinetic)):
            where[3], where[4], where[5], _ = _rotate(u, v, w, _forward_cosine(part))
            top = _push(stack, top, kind, group, part, where)
    return top, absorbed


@njit
def _fly_photon(
    photons: Any, sharing: Any, particle: Any, stack: Any, top: int, tally: Any, edges: Any
) -> int:
    i, f = _photon_index(particle[2])
    total = 0.0
    for row in range(3):
        total += photons[row, i] + f * (photons[row, i + 1] - photons[row, i])
    path = -np.log(1 - np.random.random()) / total
    for axis in range(3):
        particle[3 + axis] += path * particle[6 + axis]
    place = (particle[3], particle[4], particle[5])
    if place[0] ** 2 + place[1] ** 2 + place[2] ** 2 >= edges[-1] ** 2:
        tally.escaped[SCATTER] += particle[2]
        return top
    top, absorbed = _interact(photons, sharing, particle, stack, top, False)
    if absorbed > 0:
        _score(tally, edges, SCATTER, absorbed, place)
    return int(top)


@njit
def _hard_elastic(electrons: Any, kinetic: float) -> float:
    """Cosine of a hard elastic collision: 1/mu^2 from the cut to 1, thinned by the spin factor."""
    cut = _look_up(electrons, CUT, kinetic)
    by_electron = _look_up(electrons, BY_ELECTRON, kinetic)
    tau = kinetic / ELECTRON_MASS_MEV
    beta2 = tau * (tau + 2) / (tau + 1) ** 2
    spin_slope = np.pi * FINE_STRUCTURE * 8 * np.sqrt(beta2)
    while True:
        r = np.random.random()
        mu = cut / (1 - r * (1 - cut))
        root = np.sqrt(mu)
        spin = 1 - beta2 * mu + spin_slope * root * (1 - root)
        # Nuclei weigh Z^2 summed over the molecule (66), atomic electrons Z (10).
        weight = (66 * spin + (10 if mu < by_electron else 0)) / 76
        if np.random.random() * MOTT_MAX < weight:
            return 1 - 2 * mu


@njit
def _knock_on(kinetic: float) -> float:
    """Sample the energy of a knock-on electron (Moller)."""
    low, high = DELTA_CUT_MEV, 0.5 * kinetic
    tau = kinetic / ELECTRON_MASS_MEV
    a = (tau / (tau + 1)) ** 2
    b = (2 * tau + 1) / (tau + 1) ** 2
    largest = 1 + 0.25 * a + 1
    while True:
        r = np.random.random()
        w = low * high / (high - r * (high - low))
        x = w / kinetic
        y = x / (1 - x)
        value = 1 + y * y + a * x * x - b * y
        if np.random.random() * largest < value:
            return w


@njit
def _brems_energy(kinetic: float) -> float:
    while True:
        k = PHOTON_CUT_MEV * (kinetic / PHOTON_CUT_MEV) ** np.random.random()
        x = k / kinetic
        if np.random.random() < 1 - x + 0.35 * x * x:
            return k


@njit
def _hard_event(electrons: Any, particle: Any, majorant: float, stack: Any, top: int) -> int:
    """Let an electron collide hard (or not, where the majorant was too high)."""
    kinetic = particle[2]
    u, v, w = particle[6], particle[7], particle[8]
    choice = np.random.random() * majorant
    choice -= _look_up(electrons, HARD, kinetic)
    if choice < 0:
        cosine = _hard_elastic(electrons, kinetic)
        particle[6], particle[7], particle[8], _ = _rotate(u, v, w, cosine)
        return top
    choice -= _look_up(electrons, MOLLER, kinetic)
    if choice < 0 and kinetic > 2 * DELTA_CUT_MEV:
        loss = _knock_on(kinetic)
        double, left = 2 * ELECTRON_MASS_MEV, kinetic - loss
        cosine = np.sqrt(left * (kinetic + double) / (kinetic * (left + double)))
        recoil = np.sqrt(loss * (kinetic + double) / (kinetic * (loss + double)))
        where = particle[3:].copy()
        particle[6], particle[7], particle[8], azimuth = _rotate(u, v, w, cosine)
        where[3], where[4], where[5] = _turn(u, v, w, recoil, azimuth + np.pi)
        particle[2] = left
        return _push(stack, top, ELECTRON, int(particle[1]), loss, where)
    if choice < 0:
        return top
    choice -= _look_up(electrons, BREMS, kinetic)
    if choice < 0:
        photon = _brems_energy(kinetic)
        where = particle[3:].copy()
        where[3], where[4], where[5], _ = _rotate(u, v, w, _forward_cosine(kinetic))
        particle[2] = kinetic - photon
        return _push(stack, top, PHOTON, SCATTER, photon, where)
    choice -= _look_up(electrons, ANNIHILATION, kinetic)
    if choice < 0 and particle[0] == POSITRON:
        return _annihilate_in_flight(particle, stack, top)
    return top


@njit
def _annihilate_in_flight(particle: Any, stack: Any, top: int) -> int:
    """Turn a positron into two photons; the smaller one's share of the energy by Heitler."""
    g = 1 + particle[2] / ELECTRON_MASS_MEV
    p = np.sqrt(g * g - 1)
    low, sum_ = 1 / (g + 1 + p), g * g + 4 * g + 1
    largest = 0.0
    for share in (low, 0.5):
        other = 1 - share
        value = sum_ * (1 + share / other) - (g + 1) ** 2 * 2 * share
        largest = max(largest, value - 1 / share - share / other**2)
    while True:
        share = low * (0.5 / low) ** np.random.random()
        other = 1 - share
        value = sum_ * (1 + share / other) - (g + 1) ** 2 * 2 * share
        value -= 1 / share + share / other**2
        if np.random.random() * 1.02 * largest < value:
            break
    total = particle[2] + 2 * ELECTRON_MASS_MEV
    u, v, w = particle[6], particle[7], particle[8]
    where = particle[3:].copy()
    cosine = max(-1.0, min(1.0, (g + 1 - 1 / share) / p))
    where[3], where[4], where[5], azimuth = _rotate(u, v, w, cosine)
    top = _push(stack, top, PHOTON, SCATTER, share * total, where)
    cosine = max(-1.0, min(1.0, (g + 1 - 1 / other) / p))
    where[3], where[4], where[5] = _turn(u, v, w, cosine, azimuth + np.pi)
    particle[0], particle[2] = PHOTON, 0.0
    return _push(stack, top, PHOTON, SCATTER, other * total, where)


@njit
def _advance(particle: Any, path: float, loss: float, tally: Any, edges: Any) -> None:
    """Move along a straight piece and leave its energy at a random point of it."""
    at = path * np.random.random()
    x, y, z = particle[3], particle[4], particle[5]
    u, v, w = particle[6], particle[7], particle[8]
    _score(tally, edges, int(particle[1]), loss, (x + at * u, y + at * v, z + at * w))
    particle[3], particle[4], particle[5] = x + path * u, y + path * v, z + path * w


@njit
def _fly_electron(
    electrons: Any, particle: Any, stack: Any, top: int, tally: Any, edges: Any
) -> int:
    lowest = ELECTRON_CUT_MEV if particle[1] == PRIMARY else SCATTER_ELECTRON_CUT_MEV
    while particle[2] > lowest:
        kinetic = particle[2]
        stopping = _look_up(electrons, STOPPING, kinetic)
        majorant = _look_up(electrons, MAJORANT, kinetic)
        path = -np.log(1 - np.random.random()) / majorant
        longest = STEP_LOSS * kinetic / stopping
        is_hard = path < longest
        path = min(path, longest)
        middle = kinetic - 0.5 * stopping * path
        loss = path * _look_up(electrons, STOPPING, middle)
        mean = 0.5 * (1 - np.exp(-path * _look_up(electrons, SOFT, middle)))
        mu = 2.0
        while mu > 1:
            mu = -mean * np.log(1 - np.random.random())
        hinge = np.random.random()
        _advance(particle, hinge * path, hinge * loss, tally, edges)
        particle[6], particle[7], particle[8], _ = _rotate(
            particle[6], particle[7], particle[8], 1 - 2 * mu
        )
        _advance(particle, (1 - hinge) * path, (1 - hinge) * loss, tally, edges)
        particle[2] = kinetic - loss
        if is_hard:
            top = _hard_event(electrons, particle, majorant, stack, top)
    place = (particle[3], particle[4], particle[5])
    _score(tally, edges, int(particle[1]), particle[2], place)
    if particle[0] == POSITRON:
        where = particle[3:].copy()
        where[3], where[4], where[5], _ = _rotate(0.0, 0.0, 1.0, 2 * np.random.random() - 1)
        top = _push(stack, top, PHOTON, SCATTER, ELECTRON_MASS_MEV, where)
        where[3], where[4], where[5] = -where[3], -where[4], -where[5]
        top = _push(stack, top, PHOTON, SCATTER, ELECTRON_MASS_MEV, where)
    return top


@njit(nogil=True)
def simulate(
    energy: float,
    histories: int,
    seed: int,
    tables: tuple[Any, Any, Any],
    edges: Any,
    n_angles: int,
) -> Any:
    """Force `histories` photons to interact at the origin and tally where their energy goes.

    Parameters
    ----------
    energy : float
        Of the photon, MeV.
    histories, seed : int
    tables : tuple of ndarray
        Photon attenuation (3, N), pair energy sharing (N, Q), electron tables (9, M).
    edges : ndarray of shape (R + 1,)
        Radii of the shells: 0, then equal steps of the logarithm, mm.
    n_angles : int
        Equal polar angle bins from 0 to 180 degrees.

    Returns
    -------
    Tally
        Energy by class, shell and angle, and beyond the last shell by class, MeV per history.
    """
    np.random.seed(seed)
    photons, sharing, electrons = tables
    tally = Tally(np.zeros((2, len(edges) - 1, n_angles)), np.zeros(2))
    stack = np.zeros((STACK, 9))
    particle = np.zeros(9)
    for _ in range(histories):
        particle[:] = 0.0
        particle[2], particle[8] = energy, 1.0
        top, absorbed = _interact(photons, sharing, particle, stack, 0, True)
        if absorbed > 0:
            _score(tally, edges, SCATTER, absorbed, (0.0, 0.0, 0.0))
        while top > 0:
            top -= 1
            particle[:] = stack[top]
            if particle[0] == PHOTON:
                top = _fly_photon(photons, sharing, particle, stack, top, tally, edges)
            else:
                top = _fly_electron(electrons, particle, stack, top, tally, edges)
    return Tally(tally.energy / histories, tally.escaped / histories)
