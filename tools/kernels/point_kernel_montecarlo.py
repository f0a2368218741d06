"""Make the photon point kernels in water that rerad ships.

Needs NumPy and numba; everything else is in ``water_physics.py`` (interaction data) and
``transport.py`` (the Monte Carlo). Writes the kernels and, beside them, a TOML file with the
settings, the noise and the energy balance. Derived and checked in docs/methods/point-kernels.md.

Usage: ``python point_kernel_montecarlo.py --histories 400000 --out src/rerad/tables``
"""

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import transport
import water_physics
from water_physics import Array

ENERGIES_MEV = (
    *(0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8),
    *(1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0),
)
RADIUS_MM = np.concatenate([[0.0], np.geomspace(0.05, 600.0, 90)])
N_ANGLES = 48
N_BATCHES = 10
SEED = 20261122


def main() -> None:
    """Run every energy in batches and write the kernels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--histories", type=int, default=400_000, help="per energy")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()

    photons = water_physics.photon_tables()
    electrons = water_physics.electron_tables()
    tables = (
        np.stack([photons[name] for name in ("compton", "photo", "pair")]),
        photons["sharing"],
        np.stack(list(electrons.values())),
    )
    per_batch = arguments.histories // N_BATCHES
    transport.simulate(1.0, 10, SEED, tables, RADIUS_MM, N_ANGLES)

    def run(job: tuple[int, int]) -> tuple[Array, Array]:
        index, batch = job
        energy, seed = ENERGIES_MEV[index], SEED + 1000 * index + batch
        tally = transport.simulate(energy, per_batch, seed, tables, RADIUS_MM, N_ANGLES)
        return tally.energy / energy, tally.escaped / energy

    started, used = time.time(), time.process_time()
    jobs = [(i, b) for i in range(len(ENERGIES_MEV)) for b in range(N_BATCHES)]
    with ThreadPoolExecutor(arguments.threads) as pool:
        results = list(pool.map(run, jobs))
    seconds, cpu = time.time() - started, time.process_time() - used
    shape = (len(ENERGIES_MEV), N_BATCHES)
    energy = np.array([r[0] for r in results]).reshape(*shape, 2, len(RADIUS_MM) - 1, N_ANGLES)
    escaped = np.array([r[1] for r in results]).reshape(*shape, 2).mean(axis=1)
    kernels = energy.mean(axis=1)
    noise = energy.std(axis=1, ddof=1) / np.sqrt(N_BATCHES)

    np.savez_compressed(
        arguments.out / "point_kernels.npz",
        energy_mev=np.array(ENERGIES_MEV),
        radius_mm=RADIUS_MM,
        polar_angle_deg=np.linspace(0.0, 180.0, N_ANGLES + 1),
        primary=kernels[:, 0].astype(np.float32),
        scatter=kernels[:, 1].astype(np.float32),
        escaped=escaped,
    )
    text = _record(arguments.histories, kernels, noise, escaped)
    (arguments.out / "point_kernels.toml").write_text(text, encoding="utf-8")
    print(f"{seconds:.0f} s, {cpu:.0f} CPU s, load {os.getloadavg()[0]:.1f}")


def _numbers(values: Array, digits: int) -> str:
    return "[" + ", ".join(f"{v:.{digits}f}" for v in values) + "]"


def _record(histories: int, kernels: Array, noise: Array, escaped: Array) -> str:
    """Settings, energy balance and noise of the run as TOML."""
    balance = kernels.sum(axis=(1, 2, 3)) + escaped.sum(axis=1)
    primary = kernels[:, 0].sum(axis=(1, 2)) + escaped[:, 0]
    forward = kernels[:, 0, :, : N_ANGLES // 2].sum(axis=(1, 2)) / kernels[:, 0].sum(axis=(1, 2))
    # Where energy goes decides which bins' noise matters: the median is weighted by energy.
    typical = []
    for group in (0, 1):
        row = []
        for mean, sigma in zip(kernels[:, group], noise[:, group], strict=True):
            order = np.argsort((sigma / np.maximum(mean, 1e-300)).ravel())
            half = np.searchsorted(np.cumsum(mean.ravel()[order]), 0.5 * mean.sum())
            row.append((sigma / np.maximum(mean, 1e-300)).ravel()[order][half])
        typical.append(np.array(row))
    p = water_physics
    return f"""# Record of the photon point kernels in water, point_kernels.npz, beside it;
# docs/methods/point-kernels.md derives and checks them.
what = "Share of the energy released by a photon interacting at the origin, by shell and angle"
made_by = "tools/kernels/point_kernel_montecarlo.py"
source = "Monte Carlo of this project, class-II condensed history, water of 1 g/cm3"
physics = [
  "Compton: Klein-Nishina, free electrons",
  "pair: Born energy sharing (Bethe-Heitler), total fitted to NIST; triplet counted as pair",
  "photoelectric: Elam 2002; coherent scattering neglected",
  "electrons: Moller, ICRU 37 stopping powers (I = 75 eV, density effect of ESTAR)",
  "elastic: screened Rutherford (Moliere) with McKinley-Feshbach spin factor",
  "positrons as electrons, annihilating in flight (Heitler) and at rest",
]
histories_per_energy = {histories}
batches = {N_BATCHES}
seed = {SEED}
photon_cut_mev = {p.PHOTON_CUT_MEV}
electron_cut_mev = {p.ELECTRON_CUT_MEV}
scatter_electron_cut_mev = {p.SCATTER_ELECTRON_CUT_MEV}
delta_cut_mev = {p.DELTA_CUT_MEV}
step_loss = {p.STEP_LOSS}
hard_per_transport_length = {p.HARD_PER_TRANSPORT_LENGTH}
energy_mev = {list(ENERGIES_MEV)}
energy_balance = {_numbers(balance, 6)}
escaped = {_numbers(escaped.sum(axis=1), 5)}
primary_share = {_numbers(primary, 5)}
primary_forward_share = {_numbers(forward, 4)}
# Relative standard error of a bin, median weighted by the bins' energy.
primary_noise = {_numbers(typical[0], 4)}
scatter_noise = {_numbers(typical[1], 4)}
"""


if __name__ == "__main__":
    main()
