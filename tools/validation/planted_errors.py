"""Plant errors that other tools have made, one at a time, and see that a test of pitfalls fails.

    python tools/validation/planted_errors.py

Works on a copy of the package in a temporary folder; takes about half a minute for each error.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("tests/reference/test_pitfalls.py", "tests/reference/test_pitfalls_data.py")
MAP = "map_dose(phase_eqd2(phase, alpha_beta_gy), course.transform, onto)"

# What, in which file, the text as it is, the text as it would be wrong.
ERRORS = [
    (
        "delivered fractions ignored",
        "radiobiology/linear_quadratic.py",
        "    return n_delivered / n_planned",
        "    return 1.0",
    ),
    (
        "partial delivery scales the dose",
        "radiobiology/linear_quadratic.py",
        "convert(plane, n_fractions, alpha_beta_gy) * share",
        "convert(plane * share, n_fractions, alpha_beta_gy)",
    ),
    (
        "one alpha/beta for all",
        "radiobiology/linear_quadratic.py",
        "_converted(dose, DoseQuantity.EQD2, n_fractions_planned, alpha_beta_gy, share)",
        "replace(_converted(dose, DoseQuantity.EQD2, n_fractions_planned, 2.0, share), "
        "alpha_beta_gy=alpha_beta_gy)",
    ),
    ("m and n swapped", "tables/response.toml", "m = 0.13\nn = 0.09", "m = 0.09\nn = 0.13"),
    (
        "kidney recovers",
        "tables/recovery.toml",
        "{ from = 12, to = 36, fraction = 0.0 },\n  { from = 36, fraction = 0.0 }",
        "{ from = 12, to = 36, fraction = 0.0 },\n  { from = 36, fraction = 0.5 }",
    ),
    (
        "Nieder 2006 as a recovery table",
        "tables/recovery.toml",
        'citation = "Month-by-month interpolation attributed to Nieder, transcription"',
        'citation = "Nieder 2006"',
    ),
    (
        "thecal sac 25 Gy",
        "tables/tolerances.toml",
        'organs = ["thecal sac"]\nmetric = "Dmax"\nlimit_gy = 70.0',
        'organs = ["thecal sac"]\nmetric = "Dmax"\nlimit_gy = 25.0',
    ),
    (
        "plexus 45 Gy",
        "tables/tolerances.toml",
        'organs = ["sacral plexus"]\nmetric = "Dmax"\nlimit_gy = 70.0',
        'organs = ["sacral plexus"]\nmetric = "Dmax"\nlimit_gy = 45.0',
    ),
    (
        "recovery on a raw limit",
        "radiobiology/tolerance.py",
        "if limit.recovery_basis is RecoveryBasis.RAW and recovery_fraction > 0:",
        "if False:",
    ),
    (
        "cord limit at any level",
        "radiobiology/tolerance.py",
        "and (is_at_cord or not limit.is_cord_level_only)",
        "",
    ),
    (
        "cord score below the conus",
        "radiobiology/cord_scores.py",
        "if level is SpineLevel.BELOW_CONUS:",
        "if False:",
    ),
    (
        "interval guessed",
        "radiobiology/recovery.py",
        "    if months is None:\n        msg",
        "    if months is None:\n        return 12.0\n        msg",
    ),
    (
        "gap days as physical dose",
        "radiobiology/gap.py",
        "needed = self.prescribed + self.regained(days) - self.given\n"
        "        total = physical_from_bed(\n"
        "            needed, n_fractions=n_fractions, alpha_beta_gy=self.alpha_beta_gy\n"
        "        )",
        "needed = self.prescribed - self.given\n"
        "        total = self.regained(days) + physical_from_bed(\n"
        "            needed, n_fractions=n_fractions, alpha_beta_gy=self.alpha_beta_gy\n"
        "        )",
    ),
    (
        "27 in 15 passes",
        "radiobiology/records.py",
        "<= RECORD_ROUNDING_GY",
        "<= 1.0",
    ),
    (
        "a fraction's dose passes",
        "radiobiology/records.py",
        "if LEAST_SHARE <= share <= LARGEST_SHARE:",
        "if True:",
    ),
    (
        "scaling ignored",
        "dicom/doses.py",
        "dose_gy = (ordered * np.float64(scaling)).astype(np.float32)",
        "dose_gy = (ordered * np.float64(0.001)).astype(np.float32)",
    ),
    ("summation ignored", "dicom/doses.py", 'if summation != "PLAN":', "if False:"),
    ("units ignored", "dicom/doses.py", 'if units != "GY":', "if False:"),
    (
        "first grid again",
        "accumulation/courses.py",
        MAP,
        MAP.replace("phase_eqd2(phase,", "phase_eqd2(courses[0].phases[0],"),
    ),
    (
        "map, then convert",
        "accumulation/courses.py",
        MAP,
        "phase_eqd2(replace(phase, dose=map_dose(phase.dose, course.transform, onto)), "
        "alpha_beta_gy)",
    ),
    (
        "recovery of physical dose",
        "accumulation/courses.py",
        f"mapped = {MAP}",
        "mapped = map_dose(phase_eqd2(replace(phase, dose=phase.dose.scaled(float(kept))), "
        "alpha_beta_gy), course.transform, onto); kept = np.float32(1)",
    ),
    (
        "the first dose for the sum",
        "accumulation/sum_doses.py",
        "return reduce(add, doses)",
        "return doses[0]",
    ),
    (
        "physical doses added",
        "accumulation/sum_doses.py",
        "if len(doses) > 1 and any(",
        "if False and any(",
    ),
    ("unknown as 0", "accumulation/map_dose.py", "np.nan", "0.0"),
    (
        "another series' structure",
        "evaluation/dvh.py",
        "if frame_uid != dose.grid.frame_uid:",
        "if False:",
    ),
    (
        "near maximum of a smaller organ",
        "evaluation/dvh.py",
        '            return float("nan"), float("nan")',
        "            return self.max_gy, self.max_gy",
    ),
]


def failed_test(copy: Path) -> str:
    """Run the tests of pitfalls on a copy of the package; the first that fails, or nothing."""
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" - ")[0] if lines else ""


def main() -> None:
    """Plant each error, run, mend, report."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / "src" / "rerad", copy / "rerad", ignore=ignored)
        if failed_test(copy):
            raise SystemExit("the tests of pitfalls fail without any error planted")
        n_missed = 0
        for what, name, right, wrong in ERRORS:
            path = copy / "rerad" / name
            text = path.read_text("utf-8")
            if right not in text:
                msg = f"{what}: {name} no longer holds the text to change"
                raise SystemExit(msg)
            path.write_text(text.replace(right, wrong), "utf-8")
            found = failed_test(copy)
            path.write_text(text, "utf-8")
            n_missed += not found
            print(f"{what:34} {found or 'NOT NOTICED'}", flush=True)
        print(f"{len(ERRORS) - n_missed} of {len(ERRORS)} errors were noticed")


if __name__ == "__main__":
    main()
