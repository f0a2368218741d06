"""Run pyRadPlan 0.5.0 on the TG-119 C-shape and write down all that another engine needs.

This runs inside the peer's own environment (see benchmarks/README.md), not in rerad's; normally
`benchmarks/bench_operator.py` starts it. Command::

    PYTHON benchmarks/peers/pyradplan_tg119.py --grid 5 --out FOLDER

It times, with the peer's own functions, the influence matrix (`calc_dose_influence`) and one
evaluation of objective and gradient (its fluence problem, called as its optimiser calls it), and
writes FOLDER/peer.json (times, sizes, versions, load) and FOLDER/peer.npz (water-equivalent
density on the dose grid as its ray tracer sees it, voxels, structures, beamlet centres, weights,
doses of its matrix, kernels). With `--phantom-only` it writes FOLDER/phantom.npz (CT in HU and
masks of the wheel's structures, as they are) and nothing else: `benchmarks/bench_tg119.py` plans
on them.
"""

import argparse
import json
import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

GANTRY_DEG = tuple(range(0, 360, 40))
BIXEL_MM = 5.0
TARGET_GY, CORE_LIMIT_GY, BODY_LIMIT_GY = 51.5, 22.0, 30.0
PRIORITIES = {"target": 1000.0, "core": 300.0, "body": 100.0}
MODULATING_ITERATIONS = 30


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grid", type=float, default=5.0, help="dose grid spacing in mm")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    parser.add_argument("--setup-repeats", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=21, help="of objective and gradient")
    parser.add_argument(
        "--uncut-mm",
        type=float,
        help="also calculate the doses directly, without a matrix, with this lateral cutoff",
    )
    parser.add_argument(
        "--phantom-only", action="store_true", help="write CT and masks as they are, nothing else"
    )
    return parser.parse_args()


def load_case(grid_mm: float):
    """Return CT, structures with the objectives of the comparison, plan and beamlets."""
    from pyRadPlan import PhotonPlan, generate_stf, load_tg119
    from pyRadPlan.optimization.objectives import SquaredDeviation, SquaredOverdosing

    ct, cst = load_tg119()
    wanted = {
        "OuterTarget": SquaredDeviation(d_ref=TARGET_GY, priority=PRIORITIES["target"]),
        "Core": SquaredOverdosing(d_max=CORE_LIMIT_GY, priority=PRIORITIES["core"]),
        "BODY": SquaredOverdosing(d_max=BODY_LIMIT_GY, priority=PRIORITIES["body"]),
    }
    for voi in cst.vois:
        voi.objectives = [wanted[voi.name]]
    plan = PhotonPlan(machine="Generic")
    plan.prop_stf = {
        "gantry_angles": [float(angle) for angle in GANTRY_DEG],
        "couch_angles": [0.0] * len(GANTRY_DEG),
        "bixel_width": BIXEL_MM,
    }
    plan.prop_dose_calc = {"dose_grid": {"resolution": dict.fromkeys("xyz", grid_mm)}}
    plan.prop_opt = {"solver": "scipy"}
    return ct, cst, generate_stf(ct, cst, plan), plan


def make_engine(plan):
    """Return the dose engine that the plan names, so that its settings can be read."""
    from pyRadPlan.dose.engines import get_engine

    return get_engine(plan.model_copy(deep=True))


def timed_influence(ct, cst, stf, plan, repeats: int):
    """Return engine and matrix of the last run, and wall and processor seconds of each run."""
    seconds, processor, engine, dij = [], [], None, None
    for _ in range(repeats):
        # Two matrices at once would measure the memory of the benchmark, not the program's.
        engine = dij = None
        engine = make_engine(plan)
        start, cpu = time.perf_counter(), time.process_time()
        dij = engine.calc_dose_influence(ct, cst, stf.model_copy(deep=True))
        processor.append(time.process_time() - cpu)
        seconds.append(time.perf_counter() - start)
    return engine, dij, (seconds, processor)


def make_problem(ct, cst, stf, dij, plan):
    """Return the peer's fluence problem, ready to be evaluated as its solver does."""
    from pyRadPlan.optimization.problems import get_problem_from_pln

    problem = get_problem_from_pln(plan.model_copy(deep=True))
    problem.max_iter = MODULATING_ITERATIONS
    problem.display = False
    x, _ = problem.solve(ct, cst, stf, dij)
    return problem, np.asarray(x)


def timed_objective(problem, x: np.ndarray, repeats: int) -> tuple[list[float], list[float]]:
    """Return wall and processor seconds of objective and gradient, each at another fluence."""
    rng = np.random.default_rng(7)
    seconds, processor = [], []
    for _ in range(repeats + 2):
        moved = x * rng.uniform(0.9, 1.1, x.size)
        start, cpu = time.perf_counter(), time.process_time()
        problem._objective_function(moved)
        problem._objective_gradient(moved)
        processor.append(time.process_time() - cpu)
        seconds.append(time.perf_counter() - start)
    return seconds[2:], processor[2:]


def structures_of(problem) -> dict[str, np.ndarray]:
    """Return flat voxel indices on the dose grid (z slowest), after the peer's priorities."""
    names = {"SquaredDeviation": ["target"], "SquaredOverdosing": ["core", "body"]}
    found = {}
    for mask, objectives in problem._objective_list:
        objective = objectives[0]
        kind = names[type(objective).__name__]
        limit = getattr(objective, "d_max", None)
        name = kind[0] if limit in (None, CORE_LIMIT_GY) else "body"
        found[name] = np.flatnonzero(np.asarray(mask))
    return found


def traced_density(engine) -> np.ndarray:
    """Return the water-equivalent density that the ray tracer went through, [z, y, x]."""
    import SimpleITK

    return SimpleITK.GetArrayFromImage(engine._raytracer.cubes[0]).astype(np.float32)


def beam_arrays(stf, engine) -> dict[str, np.ndarray]:
    """Return geometry of beams and beamlets, beamlets in the order of the matrix columns."""
    centres = [np.array([ray.ray_pos_bev for ray in beam.rays]) for beam in stf.beams]
    kernel = engine._machine.get_kernel_by_energy(6.0)
    ssd = []
    for index in range(len(stf.beams)):
        info = engine._init_beam({}, _ONE_SCENARIO, None, stf, index)
        distances = [np.sum(np.asarray(ray["ray_pos_bev"]) ** 2) for ray in info["beam"]["rays"]]
        ssd.append(info["beam"]["rays"][int(np.argmin(distances))]["SSD"])
    return {
        "gantry_deg": np.array([beam.gantry_angle for beam in stf.beams], dtype=float),
        "isocenter_mm": np.array([beam.iso_center for beam in stf.beams], dtype=float),
        "source_mm": np.array([beam.source_point for beam in stf.beams], dtype=float),
        "sad_mm": np.array([beam.sad for beam in stf.beams], dtype=float),
        "beamlet_beam": np.repeat(np.arange(len(centres)), [len(c) for c in centres]),
        "beamlet_xz_mm": np.concatenate(centres)[:, [0, 2]],
        "ssd_mm": np.array(ssd),
        "kernel_ssd_mm": kernel.kernel_ssds,
        "kernel_radius_mm": kernel.kernel_pos,
        "kernel_components": kernel.kernel_data,
        "kernel_beta_per_mm": kernel.kernel_betas,
        "kernel_m_per_mm": np.array(kernel.m),
        "kernel_penumbra_fwhm_mm": np.array(kernel.penumbra),
    }


class _OneScenario:
    """What `_init_beam` reads of a CT."""

    num_of_ct_scen = 1


_ONE_SCENARIO = _OneScenario()


def direct_doses(ct, cst, stf, plan, weights: np.ndarray, cutoff_mm: float) -> np.ndarray:
    """Return doses on the dose grid without a matrix, with another lateral cutoff, (n, voxels)."""
    engine = make_engine(plan)
    engine.geometric_lateral_cutoff = cutoff_mm
    engine._calc_dose_direct = True
    doses = []
    for weight in weights:
        again = stf.model_copy(deep=True)
        numbers = iter(weight)
        for beam in again.beams:
            for ray in beam.rays:
                for beamlet in ray.beamlets:
                    beamlet.weight = float(next(numbers))
        dij = engine._calc_dose(ct, cst, again)
        doses.append(np.asarray(dij.physical_dose.flat[0]).sum(axis=1))
        engine = make_engine(plan)
        engine.geometric_lateral_cutoff = cutoff_mm
        engine._calc_dose_direct = True
    return np.array(doses)


def write_phantom(path: Path) -> None:
    """Write the CT in HU and the mask of every structure, [z, y, x], on the CT's own grid."""
    import SimpleITK
    from pyRadPlan import load_tg119

    ct, cst = load_tg119()
    np.savez_compressed(
        path,
        hu=np.rint(SimpleITK.GetArrayFromImage(ct.cube_hu)).astype(np.int16),
        origin_mm=np.asarray(ct.grid.origin, dtype=float),
        spacing_mm=np.array([ct.grid.resolution[axis] for axis in "xyz"], dtype=float),
        **{f"mask_{voi.name}": SimpleITK.GetArrayFromImage(voi.mask) > 0 for voi in cst.vois},
    )


def peak_rss_mb() -> float:
    """Return the largest resident memory of this process so far."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def optional_version(name: str) -> str | None:
    """Return the version of a package, or None if it is not there."""
    try:
        return version(name)
    except ImportError:
        return None


def main() -> None:
    """Time, calculate, write."""
    arguments = parse()
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.phantom_only:
        write_phantom(arguments.out / "phantom.npz")
        return
    load_before = os.getloadavg()
    ct, cst, stf, plan = load_case(arguments.grid)
    rss_before = peak_rss_mb()
    engine, dij, setup_s = timed_influence(ct, cst, stf, plan, arguments.setup_repeats)
    matrix = dij.physical_dose.flat[0]
    problem, modulated = make_problem(ct, cst, stf, dij, plan)
    objective_s = timed_objective(problem, modulated, arguments.repeats)
    rss_peak = peak_rss_mb()
    structures = structures_of(problem)

    uniform = np.ones(matrix.shape[1])
    scale = TARGET_GY / float(np.mean((matrix @ uniform)[structures["target"]]))
    random = np.random.default_rng(1).uniform(0.0, 2.0, uniform.size)
    weights = np.stack([scale * uniform, scale * random, modulated])
    arrays = {
        **{f"voxels_{name}": voxels for name, voxels in structures.items()},
        **beam_arrays(stf, engine),
        "density": traced_density(engine),
        "grid_origin_mm": np.asarray(engine.dose_grid.origin, dtype=float),
        "grid_spacing_mm": np.array([engine.dose_grid.resolution[axis] for axis in "xyz"]),
        "voxels": np.asarray(engine._vdose_grid).ravel(),
        "voxels_in_matrix": np.unique(matrix.indices),
        "weights": weights,
        "dose_gy": np.stack([matrix @ weight for weight in weights]),
        "single_beamlet": np.array([0, uniform.size // 2]),
        "single_dose_gy": np.stack(
            [matrix[:, [n]].toarray()[:, 0] for n in (0, uniform.size // 2)]
        ),
        "values": np.array([float(problem._objective_function(w)) for w in weights]),
    }
    if arguments.uncut_mm:
        arrays["uncut_dose_gy"] = direct_doses(ct, cst, stf, plan, weights, arguments.uncut_mm)
    np.savez(arguments.out / "peer.npz", **arrays)
    report = {
        "program": f"pyRadPlan {version('pyRadPlan')}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scipy": version("scipy"),
        "numba": optional_version("numba"),
        "threads": {k: os.environ.get(k) for k in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS")},
        "grid_mm": arguments.grid,
        "n_beams": len(GANTRY_DEG),
        "n_beamlets": int(matrix.shape[1]),
        "n_voxels": len(arrays["voxels"]),
        "lateral_cutoff_mm": float(engine.geometric_lateral_cutoff),
        "uncut_mm": arguments.uncut_mm,
        "nnz": int(matrix.nnz),
        "index_dtype": str(matrix.indices.dtype),
        "matrix_bytes": int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes),
        "rss_before_mb": rss_before,
        "rss_peak_mb": rss_peak,
        "setup_s": setup_s[0],
        "setup_cpu_s": setup_s[1],
        "objective_gradient_s": objective_s[0],
        "objective_gradient_cpu_s": objective_s[1],
        "load_before": load_before,
        "load_after": os.getloadavg(),
    }
    (arguments.out / "peer.json").write_text(json.dumps(report, indent=1))
    json.dump(report, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
