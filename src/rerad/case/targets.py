"""From a case and a recipe to target volumes: read, measure nerves, make volumes, write.

A case is a case folder, or a folder of DICOM files with one structure set on a CT (PET and MR are
used if they are there, registered if their frame is another). The recipe (TOML) holds the steps
and, in ``[nerves]``, which roots to measure and how finely the scanners see.
"""

import json
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from rerad import dicom
from rerad.case.data_folder import DataFolder
from rerad.case.files import CASE_FILE_NAME, case_path, read_case
from rerad.case.fusion import FusedImage, fuse
from rerad.case.nerve_paths import (
    TRACKED_ON,
    Clicks,
    clicks_from_words,
    parse_clicks,
    paths_of,
)
from rerad.case.run import replacing
from rerad.case.targets_outputs import (
    TargetPatient,
    TargetReport,
    target_summary,
    write_target_structures,
)
from rerad.core import (
    Finding,
    Grid,
    Image,
    Mask,
    NervePath,
    Severity,
    Structure,
    StructureKind,
)
from rerad.errors import CaseError, InputError
from rerad.nerves import (
    NerveComparison,
    NerveMeasurement,
    ReferenceUptake,
    Resolution,
    compare_sides,
    fill_from_contours,
    measure_caliber,
    measure_uptake,
    meeting_findings,
    normal_root,
    reference_uptake,
)
from rerad.pet import to_suv
from rerad.reporting.figures_nerve import NervePictures, write_nerve_figures
from rerad.structures import rasterize
from rerad.tables import load_table
from rerad.targets import Recipe, follow_recipe, parse_recipe

TARGETS_FILE_NAME = "targets.json"
"""Record of a run; also the sign that a folder is the result of one."""

TARGETS_FOLDER_NAME = "targets"
"""Where results go unless told otherwise."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class NerveTask:
    """Which nerves to measure.

    Parameters
    ----------
    roots : mapping of str to str
        Name of the path (``L5_R``) to the structure that it is drawn as.
    ct_fwhm_mm, pet_fwhm_mm : tuple of float
        Point spread along x, y, z.
    pet_fwhm_sd_mm : float
        Its uncertainty.
    references : mapping of str to tuple of str
        ``muscle``, ``blood pool``, ``liver``: structures whose voxels count together.
    clicks : mapping of str to tuple of points
        Paths that are tracked between clicked points instead of along contours.
    track_on : str
        Image on which they are tracked, CT or MR.
    ct_fwhm_sd_mm : float
        Uncertainty of the CT's point spread; 0 leaves it out of the diameters' uncertainty.
    """

    roots: Mapping[str, str]
    ct_fwhm_mm: tuple[float, float, float]
    pet_fwhm_mm: tuple[float, float, float]
    pet_fwhm_sd_mm: float
    references: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clicks: Clicks = field(default_factory=dict)
    track_on: str = "CT"
    ct_fwhm_sd_mm: float = 0.0


def make_targets(
    case: Path,
    recipe_path: Path,
    out: Path,
    progress: Progress,
    *,
    clicks: Sequence[str] = (),
) -> TargetReport:
    """Make the volumes of a recipe for a case and write them.

    Parameters
    ----------
    case : Path
        Case folder or file, or a folder of DICOM files.
    recipe_path : Path
        TOML file.
    out : Path
        Gets the RTSTRUCT, figures and `TARGETS_FILE_NAME`.
    progress : callable
        Told what is being done.
    clicks : sequence of str
        Clicked points, ``L5_R=x,y,z`` each; they go before those of the recipe.

    Returns
    -------
    TargetReport

    Raises
    ------
    CaseError
        If the case does not hold one CT with structures, or the recipe cannot be read.
    InputError, MissingDataError
        If a step cannot be done; the message names it.
    """
    recipe, task = read_recipe(recipe_path)
    task = _with_clicks(task, clicks)
    watch = _Watch(progress)
    watch("reading")
    who = _read(case)
    watch("nerve paths")
    paths = {} if task is None else paths_of(who, task.roots, task.clicks, task.track_on)
    watch("measuring nerves")
    measured, references = _measured(who, task, paths)
    comparisons = tuple(
        compare_sides(m, measured.get(_other(name)), references) for name, m in measured.items()
    )
    watch("volumes")
    masks = _masks(who, recipe, who.image.grid)
    volumes = follow_recipe(recipe, masks, who.image.grid, paths)
    meeting = meeting_findings([m.caliber.path for m in measured.values()])
    findings = (*who.findings, *volumes.findings, *meeting, *_nerve_findings(comparisons))
    with replacing(out, sign=TARGETS_FILE_NAME) as folder:
        watch("writing RTSTRUCT")
        drawn = write_target_structures(recipe, volumes, who, folder)
        watch("figures")
        pictures = NervePictures(
            image=who.image,
            pet_suv=who.pet_suv,
            mr=who.mr,
            structures=drawn,
            measurements=measured,
            comparisons=comparisons,
        )
        write_nerve_figures(pictures, folder)
        seconds = watch.done()
        report = TargetReport(
            out, volumes, comparisons, findings, seconds, who.fused, tuple(paths.values())
        )
        text = json.dumps(target_summary(report, recipe_path), indent=2, ensure_ascii=False)
        (folder / TARGETS_FILE_NAME).write_text(text + "\n", encoding="utf-8")
    return report


class _Watch:
    """Seconds of each part, told as it begins."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._seconds: dict[str, float] = {}
        self._part, self._since = "", time.perf_counter()

    def __call__(self, part: str) -> None:
        self.done()
        self._part, self._since = part, time.perf_counter()
        self._progress(part, 0.0)

    def done(self) -> dict[str, float]:
        """End the part that runs."""
        if self._part:
            self._seconds[self._part] = round(time.perf_counter() - self._since, 3)
        return self._seconds


def read_recipe(path: Path) -> tuple[Recipe, NerveTask | None]:
    """Read a recipe file: steps, and which nerves to measure.

    Raises
    ------
    CaseError
        If there is no such file or it is no TOML.
    InputError
        If a key is missing or wrong.
    """
    try:
        table = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"expected a recipe (TOML) at {path}, got {error}; give a file with [[step]] tables"
        raise CaseError(msg) from error
    nerves = table.pop("nerves", None)
    return parse_recipe(table), None if nerves is None else _nerve_task(nerves)


def _nerve_task(table: Mapping[str, Any]) -> NerveTask:
    optional = {"references", "clicks", "track_on", "ct_fwhm_sd_mm"}
    known = {"roots", "ct_fwhm_mm", "pet_fwhm_mm", "pet_fwhm_sd_mm"} | optional
    wrong, missing = set(table) - known, known - optional - set(table)
    if wrong or missing:
        msg = f"[nerves]: expected {', '.join(sorted(known))}, got {', '.join(sorted(table))}"
        raise InputError(msg)
    references = {k: tuple(v) for k, v in table.get("references", {}).items()}
    unknown = set(references) - {"muscle", "blood pool", "liver"}
    if unknown:
        msg = f"[nerves.references]: expected muscle, blood pool or liver, got {unknown}"
        raise InputError(msg)
    ct, pet = (tuple(float(v) for v in table[k]) for k in ("ct_fwhm_mm", "pet_fwhm_mm"))
    if len(ct) != 3 or len(pet) != 3:
        msg = "[nerves]: expected widths along x, y and z for ct_fwhm_mm and pet_fwhm_mm"
        raise InputError(msg)
    track_on = table.get("track_on", TRACKED_ON[0])
    if track_on not in TRACKED_ON:
        msg = f"[nerves]: expected track_on to be CT or MR, got {track_on}"
        raise InputError(msg)
    x, y, z = ct
    px, py, pz = pet
    return NerveTask(
        dict(table["roots"]),
        (x, y, z),
        (px, py, pz),
        float(table["pet_fwhm_sd_mm"]),
        references,
        parse_clicks(table.get("clicks", {})),
        track_on,
        float(table.get("ct_fwhm_sd_mm", 0.0)),
    )


def _with_clicks(task: NerveTask | None, words: Sequence[str]) -> NerveTask | None:
    """Return the task with the points of the command line, which replace those of a path."""
    if not words:
        return task
    if task is None:
        msg = "--click: expected a recipe with [nerves], which states the point spreads; add it"
        raise InputError(msg)
    return replace(task, clicks={**task.clicks, **clicks_from_words(words)})


def _read(case: Path) -> TargetPatient:
    """Read CT, structures, PET and MR."""
    case = Path(case)
    if case.is_file() or (case / CASE_FILE_NAME).is_file():
        path = case_path(case)
        file = read_case(path)
        data = DataFolder(path, (path.parent / file.data.folder).resolve())
        uids = {
            "CT": file.data.planning_ct_series_uid,
            "RTSTRUCT": file.data.structure_set_uid,
            "PT": file.data.pet_series_uid,
            "MR": file.data.mr_series_uid,
        }
    else:
        data = DataFolder(case, case)
        uids = {kind: _only(data, kind, case) for kind in ("CT", "RTSTRUCT", "PT", "MR")}
    ct_paths = data.paths("planning CT", uids["CT"], "CT")
    image = dicom.read_image(ct_paths)
    structures = data.structures("structure set", uids["RTSTRUCT"], image)
    pet = data.image("PET", uids["PT"], "PT") if uids["PT"] else None
    mr = data.image("MR", uids["MR"], "MR") if uids["MR"] else None
    fused: dict[str, FusedImage] = {}
    for name, other in (("PET", None if pet is None else to_suv(pet)), ("MR", mr)):
        if other is not None:
            fused[name] = fuse(other, image, data)
            data.findings.extend(fused[name].findings)
    return TargetPatient(
        image=image,
        structures=structures,
        patient=dicom.read_patient(ct_paths[0]),
        pet_suv=fused["PET"].image if "PET" in fused else None,
        mr=fused["MR"].image if "MR" in fused else None,
        fused=fused,
        findings=tuple(data.findings),
    )


def _only(data: DataFolder, kind: str, case: Path) -> str:
    """Return the one series or object of a kind; empty if an optional one is not there."""
    items = data.scan.of_kind(kind)
    if not items and kind in {"PT", "MR"}:
        return ""
    if kind == "CT" and len(items) > 1:
        # A PET/CT has a CT of its own: the planning CT is the one that was drawn on.
        drawn = {uid for item in data.scan.of_kind("RTSTRUCT") for uid in item.references}
        items = tuple(item for item in items if item.uid in drawn) or items
    if len(items) != 1:
        msg = (
            f"expected one {kind} in {case}, got {len(items)}; give a case (rerad import), or a "
            "folder with one"
        )
        raise CaseError(msg)
    return items[0].uid


def _measured(
    who: TargetPatient, task: NerveTask | None, paths: Mapping[str, NervePath]
) -> tuple[dict[str, NerveMeasurement], tuple[ReferenceUptake, ...]]:
    """Return measurements of every root, and the tissues to compare with."""
    if task is None:
        return {}, ()
    contoured_sd_mm = load_table("nerve_rules")["contoured_diameter"]["sd_mm"]
    found = {}
    for name, path in paths.items():
        caliber = measure_caliber(who.image, path, Resolution(task.ct_fwhm_mm, task.ct_fwhm_sd_mm))
        if name in task.roots:
            drawn: Structure = who.structures[task.roots[name]]
            caliber = fill_from_contours(caliber, drawn, sd_mm=contoured_sd_mm)
        uptake = None
        if who.pet_suv is not None:
            normal = normal_root(name.rsplit("_", 1)[0])
            known = caliber.diameter_mm[np.isfinite(caliber.diameter_mm)]
            usual = float(np.median(known)) if len(known) else 5.0
            otherwise = (normal.mean_mm, normal.sd_mm) if normal else (usual, contoured_sd_mm)
            resolution = Resolution(task.pet_fwhm_mm, task.pet_fwhm_sd_mm)
            uptake = measure_uptake(who.pet_suv, caliber, resolution, otherwise=otherwise)
        found[name] = NerveMeasurement(name, caliber, uptake)
    references = (
        []
        if who.pet_suv is None
        else [_reference(who, who.pet_suv, name, drawn) for name, drawn in task.references.items()]
    )
    return found, tuple(references)


def _reference(
    who: TargetPatient, pet: Image, name: str, drawn: tuple[str, ...]
) -> ReferenceUptake:
    """Return the uptake of several structures counted together."""
    share = np.zeros(pet.grid.shape, dtype=np.float32)
    for structure in drawn:
        np.maximum(share, rasterize(who.structures[structure], pet.grid).on(pet.grid), out=share)
    whole = Mask(name, StructureKind.OTHER, share, pet.grid)
    return reference_uptake(pet, whole, name=name)


def _other(name: str) -> str:
    return name[:-1] + {"L": "R", "R": "L"}.get(name[-1], "?")


def _masks(who: TargetPatient, recipe: Recipe, grid: Grid) -> dict[str, Mask]:
    """Return the structures that a recipe uses, on the planning CT."""
    made = {step.name for step in recipe.steps}
    used = {n for step in recipe.steps for n in (*step.of, *step.cut_at)} - made
    return {name: rasterize(who.structures[name], grid) for name in sorted(used)}


def _nerve_findings(comparisons: tuple[NerveComparison, ...]) -> list[Finding]:
    return [
        Finding(
            Severity.CAUTION,
            "nerve-flagged",
            f"{c.name} is thicker and more avid than the rules allow for a normal root; none of "
            "the rules is validated, and this is no diagnosis",
            c.name,
        )
        for c in comparisons
        if c.is_flagged
    ]
