"""Smooth the raw Monte Carlo pencil kernel and write the kernel file of a machine.

Second half of making a pencil kernel; the first is ``run_pencil_montecarlo.py``. Needs NumPy and
SciPy only.

The total dose of each depth (all shells together) and the share of each shell are smoothed apart
along depth, by least-squares cubic splines with few knots, weighted by the Monte Carlo's own
standard errors; shares are then scaled to sum to one, so that the noise of single shells cannot
change the energy.

Usage: ``python make_pencil_kernel.py raw.json generic_6mv_kernel.json``
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.interpolate import LSQUnivariateSpline, PchipInterpolator

DEPTHS_MM = np.concatenate(
    [np.arange(0, 10, 1), np.arange(10, 30, 2), np.arange(30, 100, 5), np.arange(100, 491, 10)]
).astype(float)
"""Depths of the shipped kernel."""
SCALE_MM = 2.0
"""Depth at which the smoothing coordinate turns from linear to logarithmic."""
TOTAL_KNOTS_MM = (1.0, 3.0, 6.0, 10.0, 15.0, 22.0, 35.0, 80.0, 180.0, 320.0)
SHARE_KNOTS_MM = (1.5, 5.0, 12.0, 25.0, 60.0, 150.0, 300.0)
"""Knots of the splines: dense where electrons build up, sparse where all is near exponential."""
MODEL_ERROR = 2e-3
"""Relative error added to the Monte Carlo's, for its steps at voxel faces (every 10 mm)."""


def smooth_along_depth(depth_mm: Any, value: Any, relative_error: Any, knots_mm: Any) -> Any:
    """Fit a cubic spline to the logarithm along depth and evaluate it at `DEPTHS_MM`."""
    known = (value > 0) & (depth_mm <= DEPTHS_MM[-1] + 5.0)
    x = np.log1p(depth_mm[known] / SCALE_MM)
    weight = 1.0 / np.hypot(np.minimum(relative_error[known], 1.0), MODEL_ERROR)
    knots = np.log1p(np.asarray(knots_mm) / SCALE_MM)
    spline = LSQUnivariateSpline(x, np.log(value[known]), knots, w=weight)
    # Above the first bin's centre the logarithm is carried on in a straight line.
    at = np.log1p(DEPTHS_MM / SCALE_MM)
    first = np.maximum(at, x[0])
    return np.exp(spline(first) + spline.derivative()(first) * (at - first))


def main() -> None:
    """Read, smooth, report the noise removed, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    raw = json.loads(arguments.raw.read_text())

    edges_mm = 10.0 * np.asarray(raw["radius_edges_cm"])
    depth_edges_mm = 10.0 * np.asarray(raw["depth_edges_cm"])
    depth_mm = 0.5 * (depth_edges_mm[1:] + depth_edges_mm[:-1])
    dose = np.asarray(raw["dose_mev_per_g"])
    sigma = np.asarray(raw["sigma_mev_per_g"])
    area_mm2 = np.pi * np.diff(edges_mm**2)

    # MeV/g times mm²: the dose of a broad beam of one photon per mm², times a constant.
    energy = dose * area_mm2
    error = sigma * area_mm2
    total = energy.sum(axis=1)
    total_error = np.sqrt((error**2).sum(axis=1)) / total
    smooth_total = smooth_along_depth(depth_mm, total, total_error, TOTAL_KNOTS_MM)
    share = energy / total[:, None]
    smooth_share = np.stack(
        [
            smooth_along_depth(
                depth_mm,
                share[:, s],
                error[:, s] / np.maximum(energy[:, s], 1e-300),
                SHARE_KNOTS_MM,
            )
            for s in range(share.shape[1])
        ],
        axis=1,
    )
    smooth_share /= smooth_share.sum(axis=1, keepdims=True)
    kernel = smooth_total[:, None] * smooth_share / area_mm2

    noise = {
        f"{depth:g} mm": float(np.median(sigma[i] / np.maximum(dose[i], 1e-300)))
        for i, depth in enumerate(depth_mm)
        if i in (0, 10, 20, 33, 43, 53)
    }
    at = np.minimum(depth_mm, DEPTHS_MM[-1])
    back = PchipInterpolator(DEPTHS_MM, smooth_total)(at) / total - 1.0
    print("median relative standard error of a shell:", noise)
    print("broad beam, smooth against raw:", np.round(100 * back, 2), "%")
    mean_energy = raw["mean_energy_mev"]
    balance = raw["energy_balance"]
    header = {
        "what": "Pencil kernel in water: mean dose in cylindrical shells, parallel incidence",
        "unit": "relative: MeV/g per photon and mm^2; the machine's reference sets the scale",
        "source": (
            f"{raw['program']}; {raw['physics']}; spectrum {raw['spectrum']}, photon mean energy "
            f"{mean_energy:.3f} MeV; {raw['histories']:.3g} histories; smoothed along depth"
        ),
        "made_by": "tools/kernels/run_pencil_montecarlo.py and make_pencil_kernel.py",
        "spectrum": raw["spectrum"],
        "spectrum_mean_energy_mev": round(mean_energy, 4),
        "histories": raw["histories"],
        "seed": raw["seed"],
        "photon_cutoff_mev": raw["photon_cutoff_mev"],
        "electron_cutoff_mev": raw["electron_cutoff_mev"],
        "energy_balance": round(balance, 8),
        "median_relative_standard_error_by_depth": {k: round(v, 4) for k, v in noise.items()},
        "left_out": "head scatter, electron contamination, beam hardening off axis",
    }
    rows = [[float(f"{value:.5g}") for value in row] for row in kernel]
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}," for key, value in header.items()]
    lines.append(f'  "depth_mm": {json.dumps(DEPTHS_MM.tolist())},')
    lines.append(f'  "radius_mm": {json.dumps([round(r, 5) for r in edges_mm.tolist()])},')
    body = ",\n".join(f"    {json.dumps(row)}" for row in rows)
    text = "{\n" + "\n".join(lines) + '\n  "dose": [\n' + body + "\n  ]\n}\n"
    arguments.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
