"""Compare rerad's matrix-free dose operator with pyRadPlan's influence matrix in one run.

Command, from a checkout after `make environment`::

    NUMBA_NUM_THREADS=2 .venv/bin/python benchmarks/bench_operator.py --peer-python PATH --grid 5

PATH is the Python of an environment of its own (benchmarks/README.md). The peer runs first, as a
process of its own, then rerad in this one, never both at once. Both get TG-119 from the peer's
wheel, nine beams, beamlets of 5 mm, the same voxels, structures, objectives and kernels.
`--case FOLDER` keeps what the peer wrote, or takes it from an earlier run; then nothing is timed
on the peer's side and its old times are printed. docs/methods/benchmarks.md says what is the same
and what is not.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

PEER_SCRIPT = Path(__file__).parent / "peers" / "pyradplan_tg119.py"
PRESCRIBED_GY = 51.5
# Of the peer's script: limits in Gy and priorities of its objectives.
CORE_LIMIT_GY, BODY_LIMIT_GY = 22.0, 30.0
PRIORITY = {"target": 1000.0, "core": 300.0, "body": 100.0}
PEER_FIELD_OFFSET_MM = -0.25
"""The peer paints its 5 mm beamlet as ten samples at -2.5, -2.0 ... 2.0 mm: its fluence lies half
a sample beside the beamlet's centre, along both axes."""
KERNEL_END_MM = 500.0
GOALS = {"setup": 50, "objective": 15, "memory": 13}


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", type=Path, help="Python that can import pyRadPlan")
    parser.add_argument("--grid", type=float, default=5.0, help="dose grid spacing in mm")
    parser.add_argument("--case", type=Path, help="folder for what the peer writes")
    parser.add_argument("--peer-threads", type=int, default=2, help="OpenMP threads of the peer")
    parser.add_argument("--peer-setup-repeats", type=int, default=3)
    parser.add_argument("--uncut-mm", type=float, help="see benchmarks/peers/pyradplan_tg119.py")
    parser.add_argument("--repeats", type=int, default=51, help="of objective and gradient")
    parser.add_argument("--setup-repeats", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write all numbers to this file")
    return parser.parse_args()


def run_peer(arguments: argparse.Namespace, folder: Path) -> None:
    """Run the peer in its own environment."""
    command = [arguments.peer_python, PEER_SCRIPT, "--grid", arguments.grid, "--out", folder]
    command += ["--setup-repeats", arguments.peer_setup_repeats]
    if arguments.uncut_mm:
        command += ["--uncut-mm", arguments.uncut_mm]
    threads = str(arguments.peer_threads)
    environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
    )
    if done.returncode != 0:
        sys.exit(f"the peer stopped:\n{done.stderr[-3000:]}")


def peer_kernel(case: Mapping[str, np.ndarray], cutoff_mm: float | None = None):
    """Return the peer's kernel as rerad's: depth x radius, per unit fluence and mm².

    The peer multiplies, for each component c, D_c(depth) with the convolution of the fluence
    with w_c(r), on a lattice of 0.5 mm, with w_c at r = 0 standing for one cell of the lattice.
    Shells are centred on its radii; the first has the area of a cell. Its tables depend on SSD;
    the one for the mean SSD of the beams is taken.
    """
    from rerad.core import PencilKernel

    chosen = int(np.argmin(np.abs(case["kernel_ssd_mm"] - case["ssd_mm"].mean())))
    radius = case["kernel_radius_mm"]
    step = radius[1] - radius[0]
    edges = np.concatenate([[0.0, step / np.sqrt(np.pi)], radius[1:] + 0.5 * step])
    shells = case["kernel_components"][chosen].copy()
    if cutoff_mm is not None:
        shells[:, edges[1:] > cutoff_mm] = 0.0
    depth = np.concatenate(
        [[0.5, 1, 2, 3, 4, 5, 6, 8], np.arange(10, 31, 2.5), np.arange(35, 100, 5.0)]
    )
    depth = np.concatenate([depth, np.arange(100, 501, 20.0)])
    m, beta = float(case["kernel_m_per_mm"]), case["kernel_beta_per_mm"]
    rise = beta / (beta - m) * (np.exp(-m * depth[:, None]) - np.exp(-beta * depth[:, None]))
    # Beyond the peer's table nothing; said explicitly, as far as a patient reaches.
    edges = np.append(edges, KERNEL_END_MM)
    dose = np.pad(rise @ shells, ((0, 0), (0, 1)))
    return PencilKernel(depth, edges, dose, "pyRadPlan 0.5.0, photons_Generic")


def peer_machine(case: Mapping[str, np.ndarray], cutoff_mm: float | None = None):
    """Return a machine with the peer's kernel, uniform fluence and its penumbra, nothing else."""
    from rerad.core import Machine, Mlc
    from rerad.core.photon_beam import (
        ElectronContamination,
        HeadScatter,
        PhotonBeam,
        ReferenceCondition,
        Spectrum,
    )
    from rerad.dosecalc.beam_model import on_axis_dose_per_fluence

    sigma = float(case["kernel_penumbra_fwhm_mm"]) / np.sqrt(8.0 * np.log(2.0))
    reference = ReferenceCondition(field_mm=100.0, ssd_mm=900.0, depth_mm=100.0, dose_per_mu_gy=1)
    beam = PhotonBeam(
        name="6X",
        energy_mv=6.0,
        is_flattened=True,
        dose_rate_mu_min=600.0,
        spectrum=Spectrum(np.array([2.0]), np.array([1.0])),
        kernel=peer_kernel(case, cutoff_mm),
        off_axis_radius_mm=np.array([0.0, 500.0]),
        off_axis_ratio=np.ones(2),
        off_axis_depth_scale=np.ones(2),
        focal_sigma_mm=(sigma, sigma),
        head_scatter=HeadScatter(share=0.0, sigma_mm=50.0),
        electrons=ElectronContamination(surface_share=0.0, depth_mm=10.0, sigma_mm=20.0),
        reference=reference,
    )
    leaves = Mlc(np.arange(-200, 201, 5.0), -200.0, 200.0, 200.0, 25.0, 0.5, 0, 0, 80.0, 0, True)
    limits = (-200.0, 200.0)
    machine = Machine("PEER", "", "", 1000.0, limits, limits, 0.0, leaves, beam, False, "")
    # One monitor unit is one unit of the peer's weights, whose scale is that of its kernel.
    reference = replace(reference, dose_per_mu_gy=on_axis_dose_per_fluence(machine))
    return replace(machine, beam=replace(beam, reference=reference))


def peer_geometry(case: Mapping[str, np.ndarray], offset_mm: float = PEER_FIELD_OFFSET_MM):
    """Return density, beamlet grids, and for each of rerad's beamlets its column in the matrix."""
    from rerad.core import (
        BeamGeometry,
        BixelGrid,
        Grid,
        Image,
        ImageUnit,
        Modality,
        PatientPosition,
    )
    from rerad.geometry import bld_to_patient, source_position_mm

    hfs = PatientPosition.HFS
    shape = case["density"].shape
    grid = Grid(shape, tuple(case["grid_origin_mm"]), tuple(case["grid_spacing_mm"]), "1.2.3")
    density = Image(case["density"], grid, Modality.CT, ImageUnit.DENSITY)
    grids, columns = [], []
    for b, gantry in enumerate(case["gantry_deg"]):
        iso = case["isocenter_mm"][b]
        beam = BeamGeometry(f"B{b + 1}", float(gantry), 0.0, 0.0, tuple(iso))
        source = source_position_mm(beam, hfs, sad_mm=float(case["sad_mm"][b])) - iso
        if not np.allclose(source, case["source_mm"][b], atol=1e-3):
            sys.exit(f"beam {b + 1}: source at {source}, the peer has {case['source_mm'][b]}")
        moved = bld_to_patient((offset_mm, offset_mm, 0.0), beam, hfs)
        beam = replace(beam, isocenter_mm=tuple(float(v) for v in moved))
        numbers = np.flatnonzero(case["beamlet_beam"] == b)
        centre = case["beamlet_xz_mm"][numbers]
        low = centre.min(axis=0)
        place = np.rint((centre - low) / 5.0).astype(int)
        n_x, n_y = place.max(axis=0) + 1
        column = np.full((n_y, n_x), -1)
        column[place[:, 1], place[:, 0]] = numbers
        x, y = (low[a] - 2.5 + 5.0 * np.arange(n + 1) for a, n in ((0, n_x), (1, n_y)))
        grids.append(BixelGrid(beam, x, y, column >= 0))
        columns.append(column[column >= 0])
    return density, grids, np.concatenate(columns)


def make_problem(operator, voxels: np.ndarray, case, counts: np.ndarray | None = None):
    """Return rerad's own fluence problem with the objectives of the peer, scaled as its are."""
    from rerad.optimize import Overdose, Problem, Underdose

    place = np.full(case["density"].size, -1)
    place[voxels] = np.arange(len(voxels))

    def part(name: str) -> tuple[np.ndarray, np.ndarray]:
        inside = place[case[f"voxels_{name}"]]
        inside = inside[inside >= 0]
        return inside, np.ones(len(inside)) if counts is None else counts[inside]

    terms: list[Underdose | Overdose] = [
        Underdose(
            "target low", *part("target"), PRESCRIBED_GY, PRIORITY["target"] * PRESCRIBED_GY**2
        )
    ]
    for name, structure, limit in (
        ("target high", "target", PRESCRIBED_GY),
        ("core", "core", CORE_LIMIT_GY),
        ("body", "body", BODY_LIMIT_GY),
    ):
        terms.append(Overdose(name, *part(structure), limit, PRIORITY[structure] * limit**2))
    return Problem(operator, tuple(terms))


def seconds_of(call: Callable[[], object], repeats: int) -> tuple[list[float], list[float]]:
    """Return wall and processor seconds of each of `repeats` calls after two untimed ones."""
    seconds, processor = [], []
    for _ in range(repeats + 2):
        start, cpu = time.perf_counter(), time.process_time()
        call()
        processor.append(time.process_time() - cpu)
        seconds.append(time.perf_counter() - start)
    return seconds[2:], processor[2:]


def peak_rss_mb() -> float:
    """Return the largest resident memory of this process so far."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(case, voxels: np.ndarray, repeats: int, setup_repeats: int, counts=None) -> dict:
    """Time set-up, forward, adjoint, objective and gradient on `voxels`.

    rerad's adjoint passes over voxels at which the objective's derivative is zero; the sparse
    product of the peer does not. So the same is timed with a weight at every voxel too.
    """
    from rerad.core import PatientPosition
    from rerad.dosecalc import build_operator

    machine = peer_machine(case)
    density, grids, columns = peer_geometry(case)

    def build():
        return build_operator(machine, density, voxels, density.grid, grids, PatientPosition.HFS)

    setup_s, setup_cpu_s = seconds_of(build, setup_repeats)
    operator = build()
    problem = make_problem(operator, voxels, case, counts)
    x = case["weights"][2][columns]
    rng = np.random.default_rng(7)
    y = rng.standard_normal(len(voxels))
    value = problem.value_and_gradient(x)[0]
    dose, back = operator.forward(x), operator.adjoint(y)
    objective_s, objective_cpu_s = seconds_of(
        lambda: problem.value_and_gradient(x * rng.uniform(0.9, 1.1, x.size)), repeats
    )

    def dense() -> np.ndarray:
        problem.value_by_dose(problem.dose_gy(x * rng.uniform(0.9, 1.1, x.size)))
        return operator.adjoint(y)

    dense_s, dense_cpu_s = seconds_of(dense, repeats)
    return {
        "n_voxels": len(voxels),
        "share_of_weights": float(np.mean(problem.value_by_dose(dose)[1] != 0.0)),
        "dense_gradient_s": dense_s,
        "dense_gradient_cpu_s": dense_cpu_s,
        "setup_s": setup_s,
        "setup_cpu_s": setup_cpu_s,
        "objective_gradient_s": objective_s,
        "objective_gradient_cpu_s": objective_cpu_s,
        "forward_s": seconds_of(lambda: operator.forward(x), repeats)[0],
        "adjoint_s": seconds_of(lambda: operator.adjoint(y), repeats)[0],
        "operator_bytes": int(operator.n_bytes),
        "adjoint_error": abs(dose @ y - x @ back) / (np.linalg.norm(dose) * np.linalg.norm(y)),
        "value": value,
    }


def own_points(case):
    """Return the voxels that rerad's planning would look at, and how many each stands for."""
    from rerad.core import Grid, Mask, StructureKind
    from rerad.planning.plan_task import KEEP_ONE_IN, SHELL_MM
    from rerad.planning.points import choose_points
    from rerad.structures import distance_from

    grid = Grid(
        case["density"].shape, tuple(case["grid_origin_mm"]), tuple(case["grid_spacing_mm"]), "1"
    )

    def mask(name: str) -> Mask:
        share = np.zeros(grid.n_voxels, dtype=np.float32)
        share[case[name]] = 1.0
        return Mask(name, StructureKind.OTHER, share.reshape(grid.shape), grid)

    target = mask("voxels_target")
    points = choose_points(
        grid,
        body=mask("voxels"),
        complete=[target, mask("voxels_core")],
        shell_distance_mm=distance_from(target, grid),
        shell_mm=SHELL_MM,
        keep_one_in=KEEP_ONE_IN,
        seed=1,
    )
    return points.indices, points.voxel_counts


def agreement(case, cutoff_mm: float) -> list[dict]:
    """Compare doses in target, core and body, in percent of the prescribed dose."""
    from rerad.core import PatientPosition
    from rerad.dosecalc import build_operator

    density, grids, columns = peer_geometry(case)
    doses = {}
    for name, cut in (("", None), (f", cut at {cutoff_mm:g} mm", cutoff_mm)):
        operator = build_operator(
            peer_machine(case, cut),
            density,
            case["voxels"],
            density.grid,
            grids,
            PatientPosition.HFS,
        )
        full = np.zeros((len(case["weights"]), case["density"].size))
        for n, weight in enumerate(case["weights"]):
            full[n, case["voxels"]] = operator.forward(weight[columns])
        doses["rerad" + name] = full
    doses["peer"] = case["dose_gy"]
    pairs = [("rerad", "peer"), (f"rerad, cut at {cutoff_mm:g} mm", "peer")]
    if "uncut_dose_gy" in case:
        doses["peer, hardly cut"] = case["uncut_dose_gy"]
        pairs += [("rerad", "peer, hardly cut"), ("peer", "peer, hardly cut")]
    rows = []
    for ours, theirs in pairs:
        for n, fluence in enumerate(("uniform", "random", "optimised")):
            for part in ("target", "core", "body"):
                inside = case[f"voxels_{part}"]
                a, b = doses[ours][n, inside], doses[theirs][n, inside]
                off = 100.0 * (a - b) / PRESCRIBED_GY
                rows.append(
                    {
                        "compared": f"{ours} - {theirs}",
                        "fluence": fluence,
                        "part": part,
                        "mean_gy": [float(a.mean()), float(b.mean())],
                        "mean_ratio_percent": float(100.0 * (a.mean() / b.mean() - 1.0)),
                        "mean_percent": float(off.mean()),
                        "rms_percent": float(np.sqrt(np.mean(off**2))),
                        "max_percent": float(np.abs(off).max()),
                    }
                )
    return rows


def show(peer: dict, ours: dict[str, dict], rows: list[dict]) -> None:
    """Print the tables."""
    full = ours["every voxel of the patient"]
    print(
        f"TG-119, {peer['grid_mm']:g} mm grid, {peer['n_beams']} beams, {peer['n_beamlets']} "
        f"beamlets, {peer['n_voxels']} voxels; {peer['program']}, {peer['nnz'] / 1e6:.1f} M "
        f"entries, cutoff {peer['lateral_cutoff_mm']:g} mm, threads {peer['threads']}"
    )
    print(
        f"load (1, 5, 15 min) before peer {_load(peer['load_before'])}, after it "
        f"{_load(peer['load_after'])}, before rerad {_load(full['load_before'])}, after it "
        f"{_load(full['load_after'])}"
    )
    print(f"\n{'':46s}{'peer':>10s}{'rerad':>10s}{'ratio':>8s}{'goal':>6s}")
    for name, own in ours.items():
        setup = np.median(peer["setup_s"]), np.median(own["setup_s"])
        once = np.median(peer["objective_gradient_s"]), np.median(own["objective_gradient_s"])
        setup_cpu = np.median(peer["setup_cpu_s"]), np.median(own["setup_cpu_s"])
        once_cpu = [1e3 * np.median(who["objective_gradient_cpu_s"]) for who in (peer, own)]
        dense = 1e3 * once[0], 1e3 * np.median(own["dense_gradient_s"])
        memory = peer["matrix_bytes"] / 1e6, own["operator_bytes"] / 1e6
        print(f"{name} ({own['n_voxels']} voxels), {full['threads']} threads")
        for label, unit, (a, b), goal in (
            ("set-up", "s", setup, GOALS["setup"]),
            ("  processor time", "s", setup_cpu, None),
            ("objective and gradient", "ms", [1e3 * v for v in once], GOALS["objective"]),
            ("  processor time", "ms", once_cpu, None),
            ("  with a weight at every voxel", "ms", dense, None),
            ("matrix or operator", "MB", memory, GOALS["memory"]),
        ):
            print(f"  {label + ', ' + unit:44s}{a:10.3f}{b:10.3f}{a / b:8.1f}{goal or '':>6}")
        print(
            f"  forward {1e3 * np.median(own['forward_s']):.2f} ms, adjoint of weights everywhere "
            f"{1e3 * np.median(own['adjoint_s']):.2f} ms, shortest set-up "
            f"{min(own['setup_s']):.3f} s (peer {min(peer['setup_s']):.2f}), adjoint error "
            f"{own['adjoint_error']:.1e}; {100 * own['share_of_weights']:.1f} % of the voxels "
            "have a weight in the gradient"
        )
    print(
        f"peak resident memory: peer {peer['rss_peak_mb']:.0f} MB (before set-up "
        f"{peer['rss_before_mb']:.0f}), rerad {full['rss_peak_mb']:.0f} MB (before "
        f"{full['rss_before_mb']:.0f})"
    )
    print(f"\nDose, differences in % of {PRESCRIBED_GY} Gy")
    for row in rows:
        print(
            f"{row['compared']:42s} {row['fluence']:10s} {row['part']:7s} mean of part "
            f"{row['mean_ratio_percent']:+6.2f} %; mean {row['mean_percent']:+.2f} rms "
            f"{row['rms_percent']:.2f} max {row['max_percent']:.2f}"
        )


def _load(values) -> str:
    return "/".join(f"{value:.2f}" for value in values)


def main() -> None:
    """Run both, print, write."""
    arguments = parse()
    with tempfile.TemporaryDirectory() as scratch:
        folder = arguments.case or Path(scratch)
        if arguments.peer_python:
            run_peer(arguments, folder)
        elif not (folder / "peer.npz").is_file():
            sys.exit("name the peer's Python with --peer-python, or an earlier run with --case")
        peer = json.loads((folder / "peer.json").read_text())
        # Doses are left on the disk until memory has been measured.
        with np.load(folder / "peer.npz") as archive:
            case = {name: archive[name] for name in archive if not name.endswith("dose_gy")}
            load_before, rss_before = os.getloadavg(), peak_rss_mb()
            full = measure(case, case["voxels"], arguments.repeats, arguments.setup_repeats)
            full |= {
                "rss_before_mb": rss_before,
                "rss_peak_mb": peak_rss_mb(),
                "load_before": load_before,
                "load_after": os.getloadavg(),
                "threads": _numba_threads(),
                "peer_values": case["values"].tolist(),
            }
            ours = {"every voxel of the patient": full}
            reached = case["voxels_in_matrix"]
            ours["only voxels that the cut matrix reaches"] = measure(
                case, reached, arguments.repeats, arguments.setup_repeats
            )
            sampled, counts = own_points(case)
            ours["rerad's own sample of the patient"] = measure(
                case, sampled, arguments.repeats, arguments.setup_repeats, counts
            )
            case |= {name: archive[name] for name in archive if name.endswith("dose_gy")}
        rows = agreement(case, peer["lateral_cutoff_mm"])
    show(peer, ours, rows)
    if arguments.json:
        text = json.dumps({"peer": peer, "rerad": ours, "agreement": rows}, indent=1)
        arguments.json.write_text(text)


def _numba_threads() -> int:
    import numba

    return int(numba.get_num_threads())


if __name__ == "__main__":
    main()
