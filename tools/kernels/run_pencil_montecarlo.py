"""Transport a 6 MV pencil beam in water with pyRadMC and keep the shell doses.

First half of making a pencil kernel; the second is ``make_pencil_kernel.py``. Needs an environment
of its own: ``pip install "pyradmc[warp]==0.2.1"`` (Apache-2.0). The first start builds
multiple-scattering tables for some minutes. pyRadMC works in cm and MeV; so does the raw file.

Usage: ``python run_pencil_montecarlo.py --spectrum elekta-6mv --histories 40000000 --out raw``
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
from pyradmc.scoring.cylinder import CylindricalScoringGrid, geometric_edges, graded_edges

BOX_CM = (84.0, 84.0, 56.0)
"""Water box: wider and deeper than what is scored, so that no scatter is missing."""
N_BATCHES = 20
SEED = 20261122


def main() -> None:
    """Run the transport and write doses, standard errors and settings."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spectrum", default="elekta-6mv")
    parser.add_argument("--histories", type=int, default=40_000_000)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()

    shape = tuple(int(side) for side in BOX_CM)
    grid = VoxelGrid.uniform_water(
        shape=shape, spacing=(1.0, 1.0, 1.0), origin=(-BOX_CM[0] / 2, -BOX_CM[1] / 2, 0.0)
    )
    depths = graded_edges([(0.0, 1.0, 0.1), (1.0, 3.0, 0.2), (3.0, 10.0, 0.5), (10.0, 50.0, 1.0)])
    radii = geometric_edges(40.0, 44, 0.025)
    scoring = CylindricalScoringGrid.for_grid(
        grid, radial_edges=radii, axis=(0.0, 0.0), depth_edges=depths
    )
    spectrum = ali_rogers_mv(arguments.spectrum)
    # 20 µm wide and from 100 m away: parallel and narrow against the first shell of 250 µm.
    source = SpectralBeamSource(spectrum, (0.0, 0.0, -1.0e4), (0.0, 0.0, -0.01), 2e-3, 2e-3)
    physics = AnalyticCrossSections(geometry_densities=grid.max_density_by_material())
    engine = WarpEngine(grid=grid, cross_sections=physics, device="cpu")

    start = time.time()
    result = engine.run(
        source, arguments.histories, n_batches=N_BATCHES, seed=SEED, scoring_grid=scoring
    )
    emitted, escaped = result.energy_emitted, result.energy_escaped
    raw = {
        "what": "dose per history of a pencil beam in water, by depth and cylindrical shell",
        "program": "pyRadMC 0.2.1 (PyPI, Apache-2.0), warp backend on the CPU",
        "physics": "AnalyticCrossSections, water, dose to medium",
        "spectrum": f"Ali and Rogers 2012 (doi:10.1088/0031-9155/57/1/31), {arguments.spectrum}",
        "mean_energy_mev": spectrum.mean_energy,
        "max_energy_mev": spectrum.max_energy,
        "photon_cutoff_mev": result.provenance.pcut_mev,
        "electron_cutoff_mev": result.provenance.ecut_mev,
        "multiple_scattering": result.provenance.msc_model,
        "histories": arguments.histories,
        "batches": N_BATCHES,
        "seed": SEED,
        "box_cm": BOX_CM,
        "energy_emitted_mev": emitted,
        "energy_balance": (result.energy_deposited + escaped + result.energy_unscored) / emitted,
        "seconds": time.time() - start,
        "depth_edges_cm": depths.tolist(),
        "radius_edges_cm": radii.tolist(),
        "dose_mev_per_g": np.asarray(result.dose).tolist(),
        "sigma_mev_per_g": np.asarray(result.dose_sigma).tolist(),
    }
    arguments.out.write_text(json.dumps(raw))
    print(f"{arguments.histories} histories in {raw['seconds']:.0f} s -> {arguments.out}")


if __name__ == "__main__":
    main()
