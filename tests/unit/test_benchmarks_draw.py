"""The benchmarks' tables and plots: what they say of numbers that are known."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
PNG = b"\x89PNG\r\n\x1a\n"


def test_slopes_are_those_of_a_power_law(load) -> None:
    sizes = [1000, 2000, 4000, 8000]
    seconds = [0.01 * size**1.5 for size in sizes]
    assert load("bench_scaling").slope(sizes, seconds)[0] == pytest.approx(1.5)


def test_the_optimiser_s_scaling_is_drawn_over_beamlets_and_points(load, tmp_path: Path) -> None:
    def point(kind: str, size: int) -> dict:
        return {f"n_{kind}": size, "wall_s": 1e-4 * size, "per_evaluation_s": 1e-6 * size}

    found = {
        kind: [point(kind, size) for size in (1000, 3000, 9000)] for kind in ("beamlets", "points")
    }
    path = tmp_path / "scaling_optimizer.png"
    load("bench_optimizer").draw(found, path, "a test")
    assert path.read_bytes().startswith(PNG)


def test_the_engines_scaling_is_drawn(load, tmp_path: Path) -> None:
    module = load("bench_scaling")
    for engine, kinds in module.FIXED.items():
        names = list(module.COLOURS)
        series = {
            kind: [
                {f"n_{kind}": n, names[0]: {"wall": [1e-3 * n], "cpu": [1e-3 * n]}}
                for n in (10, 100, 1000)
            ]
            for kind in kinds
        }
        path = tmp_path / f"{engine}.png"
        module.plot(engine, series, path, "wall", "a test")
        assert path.read_bytes().startswith(PNG)


def row(gain: float, optimiser_gy: float, final_gy: float) -> dict:
    """Return a case whose target gains so much over both, with such excesses over caps."""

    def method(d98: float, excess: float, cumulative: float) -> dict:
        return {
            "targets": {"PTV": {"D98%": d98, "D50%": 50.0, "D2%": 52.0}},
            "ceilings": {"PTV": 48.0},
            "organs": {
                "Cord": {
                    "metric": "Dmax",
                    "limit_gy": 50.0,
                    "prior_gy": 20.0,
                    "cumulative_gy": cumulative,
                }
            },
            "mu_factor": 1.0,
            "optimiser_excess_gy": excess,
        }

    other = method(40.0, 0.0, 49.0)
    return {
        "text": "made up",
        "prescriptions": {"PTV": 50.0},
        "n_fractions": 25,
        "accepted": {},
        "methods": {
            "rerad": method(40.0 + gain, optimiser_gy, 50.0 + final_gy),
            "uniform": other,
            "ignore and scale": other,
        },
    }


def test_the_case_table_says_which_bar_is_missed(load, tmp_path: Path) -> None:
    module = load("bench_rerad_cases")
    rows = {
        "a": row(3.1, 0.03, 0.5),
        "b": row(2.9, 0.0, -1.0),
        "c": row(5.0, 0.031, 0.0),
        "d": row(5.0, 0.0, 0.51),
    }
    lines = module.markdown(rows, ["e"], "a test").splitlines()
    verdicts = {line[2]: line.split("|")[-2].strip() for line in lines if ": PTV" in line[:10]}
    assert verdicts == {"a": "met", "b": "gain missed", "c": "cap missed", "d": "cap missed"}
    assert any(line.startswith("| e | data not there") for line in lines)
    assert any("+3.1, +3.1 | 48.0, 48.0 | 0.030, 0.50" in line for line in lines)
    said = "Of 4 targets (questions counted apart) 3 gained 3 Gy or more over both, 0 lost more"
    assert any(line.startswith(said) and "medians +4.1 Gy over uniform" in line for line in lines)
    worse = module.summary({"a": row(-0.6, 0.0, 0.0), "b": row(-0.4, 0.0, 0.0)})
    assert "0 gained 3 Gy or more over both, 1 lost more than 0.5 Gy to either" in worse
    module.draw(rows, tmp_path / "cases.png")
    assert (tmp_path / "cases.png").read_bytes().startswith(PNG)
