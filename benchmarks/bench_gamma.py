"""Time the gamma index and compare it with pymedphys in the same run.

Command, from a checkout after `make environment`::

    NUMBA_NUM_THREADS=2 .venv/bin/python benchmarks/bench_gamma.py --peer-python PATH

PATH is the Python of an environment of its own (Python 3.11 or 3.12) with
`pip install numpy scipy numba pymedphys==0.41`. Without it only our own times are printed. Each
program runs once untimed, so that compiling and loading do not count, then `--repeats` times; the
shortest time is given. Both use the same doses, criteria, samples per distance, and threads.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PEER = """
import json, sys, time
import numpy as np
try:
    import pymedphys
except ImportError:
    sys.exit(7)
data = np.load(sys.argv[1])
cases = json.loads(sys.argv[2])
axes = lambda shape, spacing: tuple(np.arange(n) * s for n, s in zip(shape, spacing))
def run(case):
    reference, evaluated = data[case["dose"] + "_r"], data[case["dose"] + "_e"]
    at = axes(reference.shape, case["spacing_mm"])
    return pymedphys.gamma(
        at, reference, at, evaluated, case["percent"], case["mm"],
        lower_percent_dose_cutoff=10, interp_fraction=10, max_gamma=2, local_gamma=case["local"])
run(cases[0])
for case in cases:
    times = []
    for _ in range(int(sys.argv[3])):
        start = time.perf_counter()
        gamma = run(case)
        times.append(time.perf_counter() - start)
    judged = gamma[~np.isnan(gamma)]
    print(json.dumps([min(times), float(np.mean(judged <= 1)), judged.size]), flush=True)
"""


def make_doses(shared: Path | None) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """Return reference, evaluated and spacing in mm by name."""
    rng = np.random.default_rng(1)
    noise = rng.random((24, 24, 24))
    z, y, x = np.meshgrid(*(np.arange(-n, n + 1) * 2.5 for n in (14, 20, 22)), indexing="ij")
    edge = 50 / ((1 + np.exp((np.hypot(x, y) - 30) / 3)) * (1 + np.exp((np.abs(z) - 24) / 3)))
    moved = 50.5 / (
        (1 + np.exp((np.hypot(x - 1.2, y + 0.7) - 30) / 3)) * (1 + np.exp((np.abs(z) - 25) / 3))
    )
    doses = {
        "random": (noise, rng.random(noise.shape), 2.0),
        "random, near": (noise, np.abs(noise + rng.normal(0, 0.05, noise.shape)), 2.0),
        "cylinder": (edge, np.abs(moved + rng.normal(0, 0.3, moved.shape)), 2.5),
    }
    path = shared / "eclipse_prostate" / "EclipseProstate_Dose.nrrd" if shared else None
    if path and path.is_file():
        import SimpleITK

        dose = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path))).astype(np.float64)
        dose = dose[10:60, 10:70, 20:110]
        shifted = 0.6 * dose + 0.4 * np.roll(dose, (1, 1, -1), (0, 1, 2))
        noisy = np.abs(1.015 * shifted + rng.normal(0, 0.4, dose.shape))
        doses["prostate"] = (dose, noisy, 2.5)
    return doses


def ours(case: dict, doses: dict, repeats: int) -> tuple[float, float, int]:
    """Return shortest time in s, pass rate and points judged."""
    from rerad.evaluation import GammaCriterion, gamma_plane

    reference, evaluated, _ = doses[case["dose"]]
    axes = tuple(
        np.arange(n) * s for n, s in zip(reference.shape, case["spacing_mm"], strict=True)
    )
    criterion = GammaCriterion(case["percent"], case["mm"], case["local"], 10)
    gamma_plane(axes, reference, axes, evaluated, criterion)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        found = gamma_plane(axes, reference, axes, evaluated, criterion)
        times.append(time.perf_counter() - start)
    return min(times), found.pass_rate, found.n_judged


def main() -> None:
    """Print one line for each dose and criterion."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", type=Path, help="Python that can import pymedphys")
    parser.add_argument(
        "--shared", type=Path, help="folder with eclipse_prostate, if there is one"
    )
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    doses = make_doses(arguments.shared)
    cases = [
        {"dose": name, "percent": p, "mm": d, "local": local, "spacing_mm": [doses[name][2]] * 3}
        for name in doses
        for p, d, local in ((3, 3, False), (2, 2, True))
    ]
    lines: list[str] = []
    if arguments.peer_python:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "doses.npz"
            arrays = {f"{name}_r": pair[0] for name, pair in doses.items()}
            np.savez(path, **arrays, **{f"{name}_e": pair[1] for name, pair in doses.items()})
            command = [arguments.peer_python, "-c", PEER, path, json.dumps(cases)]
            done = subprocess.run(
                [*map(str, command), str(arguments.repeats)],
                check=False,
                capture_output=True,
                text=True,
            )
        if done.returncode not in (0, 7):
            sys.exit(done.stderr)
        lines = done.stdout.splitlines()
    if not lines:
        print("pymedphys is absent: name an environment that has it with --peer-python")
    print("dose          criterion        points   ours s  pass %   peer s  pass %   ratio")
    for n, case in enumerate(cases):
        seconds, rate, n_judged = ours(case, doses, arguments.repeats)
        kind = "local" if case["local"] else "global"
        text = f"{case['dose']:13s} {case['percent']} %/{case['mm']} mm {kind:6s} {n_judged:7d}"
        text += f"  {seconds:7.3f}  {100 * rate:6.2f}"
        if lines:
            peer_seconds, peer_rate, _ = json.loads(lines[n])
            text += f"  {peer_seconds:7.3f}  {100 * peer_rate:6.2f}  {peer_seconds / seconds:6.1f}"
        print(text)


if __name__ == "__main__":
    main()
