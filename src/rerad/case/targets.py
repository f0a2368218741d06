"""From a case and a recipe to target volumes: read, measure nerves, make volumes, write.

A case is a case folder, or a folder of DICOM files with one structure set on a CT (PET and MR are
used if they are there, registered if their frame is another). The recipe (TOML) holds the steps
and, in ``[nerves]``, which roots to measure and how finely the scanners see.
"""

import json
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rerad import dicom
from rerad.case.data_folder import DataFolder
from rerad.case.files import CASE_FILE_NAME, case_path, read_case, write_text
from rerad.case.fusion import fuse_named
from rerad.case.nerve_schema import NervesTable, clicks_from_words, nerves_of
from rerad.case.nerve_study import NerveStudy, study_nerves
from rerad.case.pet_proposals import (
    ProposalTable,
    accepted_masks,
    outline_findings,
    outline_uptake,
    proposals_of,
)
from rerad.case.pet_schema import PetTable, facts_of, pet_table_of
from rerad.case.run import replacing
from rerad.case.targets_outputs import (
    PROPOSAL_NAME,
    TargetPatient,
    TargetReport,
    proposal_text,
    target_summary,
    write_proposals,
    write_target_structures,
)
from rerad.core import Grid, Mask
from rerad.errors import CaseError, InputError
from rerad.reporting.figures_nerve import NervePictures, write_nerve_figures
from rerad.structures import rasterize
from rerad.targets import Recipe, follow_recipe, parse_recipe

TARGETS_FILE_NAME = "targets.json"
"""Record of a run; also the sign that a folder is the result of one."""

TARGETS_FOLDER_NAME = "targets"
"""Where results go unless told otherwise."""

RECIPE_FILE_NAME = "targets.toml"
"""The recipe of a case, where the command line names none."""

Progress = Callable[[str, float], None]


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
    recipe, stated, pet, wanted = read_recipe(recipe_path)
    watch = _Watch(progress)
    watch("reading")
    who = _read(case, pet)
    table = _with_clicks(stated or who.nerves, clicks)
    watch("measuring nerves")
    study = NerveStudy() if table is None else study_nerves(who.scan, table)
    _require_reviewed(recipe, study)
    watch("volumes")
    outlines = outline_uptake(wanted, who.scan, table, study)
    taken = accepted_masks(recipe, outlines)
    masks = _masks(who, recipe, who.image.grid, taken)
    volumes = follow_recipe(recipe, masks, who.image.grid, study.paths)
    findings = (
        *who.findings,
        *volumes.findings,
        *study.findings,
        *outline_findings(outlines),
    )
    with replacing(out, sign=TARGETS_FILE_NAME) as folder:
        watch("writing RTSTRUCT")
        drawn = write_target_structures(recipe, volumes, who, folder)
        write_proposals(outlines, who, folder)
        watch("figures")
        pictures = NervePictures(
            image=who.image,
            pet_suv=who.pet_suv,
            mr=who.mr,
            structures=drawn,
            measurements=study.measurements,
            comparisons=study.comparisons,
            proposals=study.proposals,
            bone_points={} if table is None else table.bone_points,
            outlines=tuple(one.structure for one in outlines.values()),
        )
        write_nerve_figures(pictures, folder)
        seconds = watch.done()
        if study.proposals:
            write_text(folder / PROPOSAL_NAME, proposal_text(study.proposals.values()))
        paths = (*study.paths.values(), *study.proposals.values())
        report = TargetReport(
            out, volumes, study.comparisons, findings, seconds, who.fused, paths, outlines
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


def case_folder(case: Path) -> Path:
    """Return the folder of a case, named by itself or by its file."""
    return case if case.is_dir() else case.parent


def recipe_of(case: Path) -> Path:
    """Return the recipe that lies beside a case.

    Raises
    ------
    CaseError
        If there is none.
    """
    path = case_folder(case) / RECIPE_FILE_NAME
    if not path.is_file():
        msg = f"expected a recipe of targets at {path}, found none; name one with --recipe"
        raise CaseError(msg)
    return path


def read_recipe(
    path: Path,
) -> tuple[Recipe, NervesTable | None, PetTable | None, tuple[ProposalTable, ...]]:
    """Read a recipe file: steps, which nerves to measure, facts of the PET, outlines to propose.

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
    pet, rows = table.pop("pet", None), table.pop("proposal", [])
    if not isinstance(rows, list):
        msg = f"{path}: expected tables [[proposal]], got {rows!r}"
        raise InputError(msg)
    return (
        parse_recipe(table),
        None if nerves is None else nerves_of(nerves),
        None if pet is None else pet_table_of(pet),
        proposals_of(rows),
    )


def _with_clicks(table: NervesTable | None, words: Sequence[str]) -> NervesTable | None:
    """Return the table with the points of the command line, which replace those of a path."""
    if not words:
        return table
    if table is None:
        msg = (
            "--click: expected [nerves] in the recipe or the case file, which states the point "
            "spreads; add it"
        )
        raise InputError(msg)
    return table.model_copy(update={"clicks": {**table.clicks, **clicks_from_words(words)}})


def _read(case: Path, stated: PetTable | None) -> TargetPatient:
    """Read CT, structures, PET and MR."""
    case, nerves = Path(case), None
    if case.is_file() or (case / CASE_FILE_NAME).is_file():
        path = case_path(case)
        file = read_case(path)
        nerves, stated = file.nerves, stated or file.pet
        data = DataFolder(path, (path.parent / file.data.folder).resolve())
        uids = {
            "CT": file.data.planning_ct_series_uid,
            "RTSTRUCT": file.data.structure_set_uid,
            "PT": file.data.pet_series_uid,
            "MR": file.data.mr_series_uid,
        }
    else:
        if not case.is_dir():
            msg = f"expected a case or a folder of DICOM files at {case}, found none"
            raise CaseError(msg)
        data = DataFolder(case, case)
        uids = {kind: _only(data, kind, case) for kind in ("CT", "RTSTRUCT", "PT", "MR")}
    ct_paths = data.paths("planning CT", uids["CT"], "CT")
    image = dicom.read_image(ct_paths)
    structures = data.structures("structure set", uids["RTSTRUCT"], image)
    fused = fuse_named(data, uids, image, facts_of(stated))
    return TargetPatient(
        image=image,
        structures=structures,
        patient=dicom.read_patient(ct_paths[0]),
        pet_suv=fused["PET"].image if "PET" in fused else None,
        mr=fused["MR"].image if "MR" in fused else None,
        fused=fused,
        findings=tuple(data.findings),
        nerves=nerves,
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


def _require_reviewed(recipe: Recipe, study: NerveStudy) -> None:
    """Raise if a volume shall be made along a path that was only proposed."""
    for step in recipe.steps:
        for name in step.along:
            if name in study.proposals:
                msg = (
                    f"step {step.name}: along: {name} is only a first proposal from bone points; "
                    "look at it, correct its points and give them under [nerves.clicks]"
                )
                raise InputError(msg)


def _masks(
    who: TargetPatient, recipe: Recipe, grid: Grid, taken: Mapping[str, Mask]
) -> dict[str, Mask]:
    """Return the structures and accepted outlines that a recipe uses, on the planning CT."""
    made = {step.name for step in recipe.steps}
    used = {n for step in recipe.steps for n in (*step.of, *step.cut_at)} - made
    drawn = sorted(used - set(taken))
    return {**{name: rasterize(who.structures[name], grid) for name in drawn}, **taken}
