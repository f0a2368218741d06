"""Transport an open field into a layered slab with pyRadMC and keep depth dose and profiles.

Reference for the dose engines. A point source of the given spectrum 100 cm above the surface, a
square field whose side is stated on the surface, layers of water of stated density with water
below them; no head, no electrons from outside. Needs an environment of its own:
``pip install "pyradmc[warp]==0.2.1"`` (Apache-2.0). pyRadMC works in cm and MeV.

Usage: ``python run_slab_montecarlo.py --field 5 --slab 5:1.0 8:0.26 --histories 10000000
--out lung_5x5.json``
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from pyradmc import AnalyticCrossSections, VoxelGrid
from pyradmc.backends.warp.engine import WarpEngine
from pyradmc.geometry.source import SpectralBeamSource
from pyradmc.geometry.spectrum import ali_rogers_mv
from pyradmc.scoring.grid import ScoringGrid

STEP_CM = 0.25
WIDTH_CM, DEPTH_CM = 50.0, 35.0
STRIP_CM = 1.0
PROFILE_DEPTHS_MM = (20.0, 50.0, 90.0, 150.0)
PROFILE_HALF_MM = 10.0
GY_PER_MEV_G = 1.602176634e-10
N_BATCHES = 20
SEED = 20261122


def main() -> None:
    """Run the transport; write curves, standard errors and settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--field", type=float, required=True, help="side in cm at 100 cm")
    parser.add_argument("--slab", nargs="*", default=[], help="thickness_cm:density from the top")
    parser.add_argument("--spectrum", default="varian-6mv")
    parser.add_argument("--histories", type=int, default=10_000_000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    n_z = round(DEPTH_CM / STEP_CM)
    density, n_x = np.ones(n_z), round(WIDTH_CM)
    done = 0
    layers = [tuple(float(v) for v in layer.split(":")) for layer in arguments.slab]
    for thickness, value in layers:
        count = round(thickness / STEP_CM)
        density[done : done + count] = value
        done += count
    shape = (n_x, n_x, n_z)
    grid = VoxelGrid(
        shape=shape,
        spacing=(1.0, 1.0, STEP_CM),
        density=np.broadcast_to(density, shape).copy(),
        material=np.zeros(shape, dtype=np.int32),
        origin=(-0.5 * n_x, -0.5 * n_x, 0.0),
    )
    half = 0.5 * arguments.field + 5.0
    n_bins = 2 * round(half / STEP_CM)
    scoring = ScoringGrid.rebin(
        grid,
        shape=(n_bins, 1, n_z),
        spacing=(STEP_CM, 2 * STRIP_CM, STEP_CM),
        origin=(-0.5 * n_bins * STEP_CM, -STRIP_CM, 0.0),
    )
    spectrum = ali_rogers_mv(arguments.spectrum)
    source = SpectralBeamSource(
        spectrum, (0.0, 0.0, -100.0), (0.0, 0.0, 0.0), arguments.field, arguments.field
    )
    physics = AnalyticCrossSections(geometry_densities=grid.max_density_by_material())
    engine = WarpEngine(grid=grid, cross_sections=physics, device="cpu")
    start = time.time()
    result = engine.run(
        source, arguments.histories, n_batches=N_BATCHES, seed=SEED, scoring_grid=scoring
    )
    raw = {
        "dose_mev_per_g": np.asarray(result.dose)[:, 0].T,
        "sigma_mev_per_g": np.asarray(result.dose_sigma)[:, 0].T,
    }
    reference = {
        "what": "dose in layered slabs of water for an open square field of a point source",
        "program": "pyRadMC 0.2.1 (PyPI, Apache-2.0), warp backend on the CPU",
        "physics": "AnalyticCrossSections, water scaled by density, dose to medium",
        "made_by": "tools/validation/run_slab_montecarlo.py",
        "spectrum": arguments.spectrum,
        "spectrum_source": "Ali and Rogers 2012, doi:10.1088/0031-9155/57/1/31",
        "ssd_mm": 1000.0,
        "field_mm": 10.0 * arguments.field,
        "layers_mm_g_cm3": [(10.0 * thickness, value) for thickness, value in layers],
        "histories": arguments.histories,
        "seed": SEED,
        "seconds": round(time.time() - start),
        **curves(raw, field_cm=arguments.field, mean_energy_mev=spectrum.mean_energy),
    }
    arguments.out.write_text(json.dumps(reference, indent=None))
    print(f"{arguments.histories} histories in {reference['seconds']} s -> {arguments.out}")


def curves(raw: dict, *, field_cm: float, mean_energy_mev: float) -> dict:
    """Dose on the axis and across, in Gy per MeV/mm2 of energy fluence at the surface.

    ``raw`` holds dose and standard error in MeV/g per history, by depth and crossplane bin.
    """
    scale = GY_PER_MEV_G * (10.0 * field_cm) ** 2 / mean_energy_mev
    dose = scale * np.asarray(raw["dose_mev_per_g"])
    sigma = scale * np.asarray(raw["sigma_mev_per_g"])
    step = 10.0 * STEP_CM
    n_z, n_x = dose.shape
    x = step * (np.arange(n_x) - 0.5 * (n_x - 1))
    z = step * (np.arange(n_z) + 0.5)
    reach = min(0.175 * 10.0 * field_cm, 10.0)
    near = np.abs(x) < reach
    profiles = {}
    for depth in PROFILE_DEPTHS_MM:
        rows = np.abs(z - depth) < PROFILE_HALF_MM
        both = dose[rows].mean(axis=0)
        profiles[f"{depth:g}"] = (0.5 * (both + both[::-1])).round(14).tolist()
    return {
        "unit": "Gy per MeV/mm2 of energy fluence at the surface",
        "depth_mm": z.tolist(),
        "axis_half_width_mm": [reach, 10.0 * STRIP_CM],
        "axis": np.round(dose[:, near].mean(axis=1), 14).tolist(),
        "axis_sigma": np.round(
            np.sqrt((sigma[:, near] ** 2).sum(axis=1)) / near.sum(), 15
        ).tolist(),
        "x_mm": x.tolist(),
        "profile_half_thickness_mm": PROFILE_HALF_MM,
        "profiles": profiles,
    }


if __name__ == "__main__":
    main()
