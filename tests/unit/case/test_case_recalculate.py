"""An existing plan calculated again: round trip, known differences, every refusal."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from typer.testing import CliRunner

from rerad import dicom
from rerad.case.recalculate import CheckSettings, check_dose, parse_criterion
from rerad.case.recalculate_machine import MachineChoice
from rerad.cli.console import ExitCode
from rerad.cli.main import app
from rerad.core import (
    Beam,
    BeamGeometry,
    ControlPoint,
    Grid,
    Image,
    ImageUnit,
    Modality,
    Patient,
    PatientPosition,
    Plan,
    Prescription,
    StructureKind,
    StructureSet,
)
from rerad.dicom import StudyHeader, UidFactory
from rerad.dicom.planned_doses import read_planned_dose
from rerad.dosecalc import FinalDoseSettings, final_dose, load_machine
from rerad.dosecalc.final_dose import Engine
from rerad.errors import CaseError, DicomError, InputError, ReradError
from rerad.imaging import load_hounsfield_curve
from rerad.planning.medium import MediumSettings, make_medium
from rerad.planning.pipeline import dose_grid_for, external_of
from rerad.planning.recalculation import dose_at
from rerad.structures import contours_from_mask, rasterize

PATIENT = Patient("WATER-1", "Test^Water", sex="O")
RUNNER = CliRunner()
N_FRACTIONS = 3
ISOCENTER = (4.0, -3.0, 2.0)


@dataclass(frozen=True)
class WaterCase:
    """A box of water on disk, with a plan of two beams and its dose."""

    folder: Path
    plan: Path
    dose: Path
    image: Image
    structures: StructureSet


def _ct(frame_uid: str) -> Image:
    grid = Grid((30, 34, 40), (-97.5, -82.5, -72.5), (5.0, 5.0, 5.0), frame_uid)
    z, y, x = np.meshgrid(*grid.axes_mm[::-1], indexing="ij")
    values = np.full(grid.shape, -1000, dtype=np.int16)
    values[(np.abs(x) < 80) & (np.abs(y) < 65)] = 0
    values[(np.abs(x - 40) < 18) & (np.abs(y) < 25) & (np.abs(z) < 40)] = -700
    return Image(values, grid, Modality.CT, ImageUnit.HU, description="water with lung")


def _structures(image: Image) -> StructureSet:
    z, y, x = np.meshgrid(*image.grid.axes_mm[::-1], indexing="ij")

    def draw(mask: np.ndarray, name: str, kind: StructureKind) -> Any:
        return contours_from_mask(mask, image.grid, name=name, kind=kind)

    near = (x - 4) ** 2 + (y + 3) ** 2 + (z - 2) ** 2
    return StructureSet(
        "water",
        (
            draw((np.abs(x) < 80) & (np.abs(y) < 65), "Body", StructureKind.EXTERNAL),
            draw(near < 25**2, "PTV_0600", StructureKind.PTV),
            draw((x + 45) ** 2 + y**2 + z**2 < 22**2, "Organ", StructureKind.OAR),
        ),
    )


def _beams() -> tuple[Beam, ...]:
    machine = load_machine("generic_6mv")
    still = np.zeros((2, machine.mlc.n_leaf_pairs))
    still[0], still[1] = -30.0, 30.0
    jaws = ((-30.0, 30.0), (-30.0, 30.0))
    open_points = tuple(ControlPoint(w, *jaws, still) for w in (0.0, 1.0))
    sweep = []
    for weight, left, right in ((0.0, -30.0, -25.0), (0.4, -10.0, 15.0), (1.0, 28.0, 30.0)):
        leaves = np.zeros_like(still)
        leaves[0], leaves[1] = left, right
        sweep.append(ControlPoint(weight, *jaws, leaves))
    return (
        Beam(1, BeamGeometry("AP", 0.0, 0.0, 0.0, ISOCENTER), open_points, 110.0),
        Beam(2, BeamGeometry("LAT", 90.0, 15.0, 0.0, ISOCENTER), tuple(sweep), 170.0),
    )


def _write(folder: Path) -> WaterCase:
    uids = UidFactory("water check")
    header = StudyHeader(study_uid=uids.new("study"), uids=uids)
    image = dicom.write_image(_ct(uids.new("frame")), PATIENT, folder / "ct", study=header)
    structures = dicom.write_structure_set(
        _structures(image), image, PATIENT, folder / "rs.dcm", study=header
    )
    machine = load_machine("generic_6mv")
    plan = Plan(
        "WATER",
        image.grid.frame_uid,
        PatientPosition.HFS,
        machine.name,
        N_FRACTIONS,
        (Prescription("PTV_0600", 6.0),),
        _beams(),
        structure_set_uid=structures.instance_uid,
    )
    plan = dicom.write_plan(plan, machine, PATIENT, folder / "rp.dcm", study=header, image=image)
    body = external_of(structures)
    grid = dose_grid_for(image, body, 5.0)
    medium = make_medium(
        image,
        structures,
        rasterize(body, grid),
        grid,
        MediumSettings(load_hounsfield_curve("schneider_2000")),
    )
    dose = final_dose(
        plan, machine, medium.density, grid, settings=FinalDoseSettings(Engine.PENCIL_BEAM)
    )
    dicom.write_dose(dose, PATIENT, folder / "rd.dcm", study=header, plans=(plan,), n_bits=32)
    return WaterCase(folder, folder / "rp.dcm", folder / "rd.dcm", image, structures)


@pytest.fixture(scope="module")
def water(tmp_path_factory: pytest.TempPathFactory) -> WaterCase:
    """The case, only read."""
    return _write(tmp_path_factory.mktemp("water") / "dicom")


@pytest.fixture
def edited(water: WaterCase, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes an edited copy of plan or dose."""

    def edit(path: Path, change: Callable[[Dataset], None]) -> Path:
        dataset = pydicom.dcmread(path)
        change(dataset)
        copy = tmp_path / path.name
        dataset.save_as(copy)
        return copy

    return edit


def _settings(**changes: Any) -> CheckSettings:
    settings = CheckSettings(("3%/2mm",), 10.0, 95.0, MachineChoice(), Engine.PENCIL_BEAM)
    return replace(settings, **changes)


def _check(water: WaterCase, plan: Path | None = None, dose: Path | None = None, **changes: Any):
    return check_dose(
        plan or water.plan,
        water.folder,
        dose_path=dose,
        settings=_settings(**changes),
        progress=lambda what, share: None,
    )


def test_a_plan_of_rerad_gives_its_own_dose(water: WaterCase) -> None:
    check = _check(water, criteria=("0.1%/0.1mm",))
    comparison = check.comparison
    assert comparison is not None
    assert comparison.pass_percent == 100.0
    assert comparison.gammas[0].n_judged > 5000
    difference = comparison.recalculated.values - comparison.planned.values
    assert np.nanmax(np.abs(difference)) < 1e-5 * np.nanmax(comparison.planned.values)
    assert comparison.ratio == pytest.approx(1.0, abs=1e-6)
    assert check.is_passed is True
    assert [b.meterset_mu for b in check.recalculation.beams] == [110.0, 170.0]
    for item in check.compared:
        assert item.planned is not None
        assert item.recalculated.mean_gy == pytest.approx(item.planned.mean_gy, rel=1e-5)


def test_beams_add_up_to_the_plan_at_the_isocentre(water: WaterCase) -> None:
    check = _check(water)
    total = dose_at(check.recalculation.dose, ISOCENTER)
    parts = sum(beam.isocenter_gy for beam in check.recalculation.beams)
    assert N_FRACTIONS * parts == pytest.approx(total, rel=1e-6)
    assert total > 1.0


@pytest.mark.parametrize(("factor", "passes"), [(1.02, True), (1.10, False)])
def test_a_scaled_dose_fails_as_it_should(
    water: WaterCase, edited: Callable[..., Path], factor: float, passes: bool
) -> None:
    def scale(dataset: Dataset) -> None:
        dataset.DoseGridScaling = f"{float(dataset.DoseGridScaling) * factor:.8e}"

    path = edited(water.dose, scale)
    # A distance so short that only dose counts: then 3 % of the highest dose is all that matters.
    check = _check(water, dose=path, criteria=("3%/0.01mm",))
    comparison = check.comparison
    assert comparison is not None
    assert comparison.ratio == pytest.approx(1 / factor, rel=1e-5)
    assert check.is_passed is passes
    planned = comparison.planned.values
    highest = np.nanmax(planned)
    judged = planned >= 0.1 * highest
    off = (1 - 1 / factor) * planned[judged] > 0.03 * highest
    expected = 100.0 * (1 - np.count_nonzero(off) / np.count_nonzero(judged))
    assert comparison.pass_percent == pytest.approx(expected, abs=0.2)
    local = 100.0 * comparison.gammas[1].pass_rate
    assert local == pytest.approx(100.0 if factor < 1.03 else 0.0, abs=0.1)


def test_dose_of_one_beam_and_of_one_fraction(
    water: WaterCase, edited: Callable[..., Path]
) -> None:
    check = _check(water)
    total = check.recalculation.dose
    alone = check.recalculation.beams[1]

    def of_second_beam(dataset: Dataset) -> None:
        dataset.DoseSummationType = "BEAM_SESSION"
        beam, group = Dataset(), Dataset()
        beam.ReferencedBeamNumber = 2
        group.ReferencedFractionGroupNumber = 1
        group.ReferencedBeamSequence = [beam]
        dataset.ReferencedRTPlanSequence[0].ReferencedFractionGroupSequence = [group]

    path = edited(water.dose, of_second_beam)
    assert read_planned_dose(path).beam_numbers == (2,)
    single = _check(water, dose=path)
    at = dose_at(single.recalculation.compared, ISOCENTER)
    assert at == pytest.approx(alone.isocenter_gy, rel=1e-5)
    assert dose_at(single.recalculation.dose, ISOCENTER) == pytest.approx(
        dose_at(total, ISOCENTER), rel=1e-6
    )
    assert "beams 2, 1 of 3 fractions, as its file says" in single.planned_text


def test_a_slip_of_fractions_is_said_and_never_scaled(
    water: WaterCase, edited: Callable[..., Path]
) -> None:
    def divide(dataset: Dataset) -> None:
        dataset.DoseGridScaling = f"{float(dataset.DoseGridScaling) / N_FRACTIONS:.8e}"

    path = edited(water.dose, divide)
    check = _check(water, dose=path)
    assert check.comparison is not None
    assert check.comparison.ratio == pytest.approx(N_FRACTIONS, rel=1e-4)
    assert check.is_passed is False
    assert "fractions-suspect" in {finding.code for finding in check.findings}
    told = _check(water, dose=path, n_fractions_of_dose=1)
    assert told.comparison is not None
    assert told.comparison.pass_percent == 100.0
    assert "1 of 3 fractions, as given" in told.planned_text


def test_planned_dose_on_part_of_the_body_and_another_grid(
    water: WaterCase, tmp_path: Path
) -> None:
    whole = read_planned_dose(water.dose).dose
    part_grid = whole.grid.crop((6, 8, 9), (24, 22, 30))
    part = replace(whole, values=whole.values[whole.grid.region_of(part_grid)], grid=part_grid)
    plan = dicom.read_plan(water.plan)
    path = tmp_path / "part.dcm"
    header = StudyHeader(study_uid="1.2.3", uids=UidFactory("part"))
    dicom.write_dose(part, PATIENT, path, study=header, plans=(plan,), n_bits=32)
    check = _check(water, dose=path)
    assert check.comparison is not None
    assert check.comparison.pass_percent == 100.0
    assert check.comparison.covered < 0.6
    assert "planned-dose-covers-part" in {finding.code for finding in check.findings}
    # All of the body is calculated: what is not there does not scatter.
    assert check.recalculation.dose.grid.shape[0] > part_grid.shape[0]
    finer = _check(water, dose=path, grid_mm=4.0)
    assert finer.comparison is not None
    assert finer.comparison.pass_percent > 97.0
    assert finer.recalculation.dose.grid.spacing_mm == (4.0, 4.0, 4.0)


def _plan_edit(**beam: Any) -> Callable[[Dataset], None]:
    def change(dataset: Dataset) -> None:
        for keyword, value in beam.items():
            setattr(dataset.BeamSequence[0], keyword, value)

    return change


def _wedge(dataset: Dataset) -> None:
    dataset.BeamSequence[0].NumberOfWedges = 1


def _electrons(dataset: Dataset) -> None:
    dataset.BeamSequence[1].RadiationType = "ELECTRON"


def _no_meterset(dataset: Dataset) -> None:
    del dataset.FractionGroupSequence[0].ReferencedBeamSequence[0].BeamMeterset


def _other_energy(dataset: Dataset) -> None:
    dataset.BeamSequence[0].ControlPointSequence[0].NominalBeamEnergy = 10


def _unflattened(dataset: Dataset) -> None:
    mode = dataset.BeamSequence[0].PrimaryFluenceModeSequence[0]
    mode.FluenceMode, mode.FluenceModeID = "NON_STANDARD", "FFF"


def _no_fluence_mode(dataset: Dataset) -> None:
    del dataset.BeamSequence[0].PrimaryFluenceModeSequence


def _moved_leaf_side(dataset: Dataset) -> None:
    edges = dataset.BeamSequence[0].BeamLimitingDeviceSequence[-1].LeafPositionBoundaries
    edges[30] = float(edges[30]) + 0.5


def _tilted(dataset: Dataset) -> None:
    dataset.BeamSequence[0].ControlPointSequence[0].TableTopPitchAngle = 2


def _other_machine(dataset: Dataset) -> None:
    for beam in dataset.BeamSequence:
        beam.TreatmentMachineName = "2619"


def _other_patient(dataset: Dataset) -> None:
    dataset.PatientID = "SOMEBODY"


def _other_frame(dataset: Dataset) -> None:
    dataset.FrameOfReferenceUID = "1.2.3.4"


def _strange_references(dataset: Dataset) -> None:
    _other_frame(dataset)
    dataset.ReferencedStructureSetSequence[0].ReferencedSOPInstanceUID = "1.2.3.5"


def _no_frame_no_structures(dataset: Dataset) -> None:
    del dataset.FrameOfReferenceUID
    del dataset.ReferencedStructureSetSequence


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (_wedge, DicomError, "wedges"),
        (_plan_edit(NumberOfBoli=1), DicomError, "boluses"),
        (_plan_edit(NumberOfBlocks=1), DicomError, "blocks"),
        (_electrons, DicomError, "expected photons"),
        (_no_meterset, DicomError, "monitor units"),
        (_other_energy, InputError, "asks for 10 MV"),
        (_no_fluence_mode, InputError, "6X or 6X-FFF of machine GENERIC_6MV"),
        (_moved_leaf_side, InputError, "leaf side at"),
        (_tilted, InputError, "pitch"),
        (_other_machine, CaseError, "'2619', which is none that rerad knows"),
        (_other_patient, CaseError, "another patient ID"),
        (_other_frame, ReradError, "frame of its CT"),
        (_strange_references, CaseError, "got neither"),
        (_no_frame_no_structures, CaseError, "got neither"),
    ],
)
def test_what_would_be_wrong_is_refused_by_name(
    water: WaterCase,
    edited: Callable[..., Path],
    change: Callable[[Dataset], None],
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words):
        _check(water, plan=edited(water.plan, change))


def test_each_beam_finds_its_energy_and_fluence_mode(
    water: WaterCase, edited: Callable[..., Path]
) -> None:
    plan = edited(water.plan, _unflattened)
    machines = [beam.machine for beam in _check(water, plan=plan).recalculation.beams]
    assert machines == ["GENERIC_6MV 6X-FFF", "GENERIC_6MV 6X"]
    with pytest.raises(InputError, match="fluence mode FFF, which 6X of machine"):
        _check(water, plan=plan, machine=MachineChoice("", "6X"))
    with pytest.raises(InputError, match="has no beam 18X"):
        _check(water, machine=MachineChoice("", "18X"))
    silent = edited(water.plan, _no_fluence_mode)
    told = _check(water, plan=silent, machine=MachineChoice("", "6X"))
    assert "beam-quality-not-stated" in {finding.code for finding in told.findings}


def test_a_dose_of_another_plan_is_refused(water: WaterCase, edited: Callable[..., Path]) -> None:
    def other(dataset: Dataset) -> None:
        dataset.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID = "1.2.3.9"

    with pytest.raises(CaseError, match="of another plan"):
        _check(water, dose=edited(water.dose, other))


def test_without_a_planned_dose_a_grid_is_needed(
    water: WaterCase, edited: Callable[..., Path]
) -> None:
    def renamed(dataset: Dataset) -> None:
        dataset.SOPInstanceUID = "1.2.3.10"

    plan = edited(water.plan, renamed)
    with pytest.raises(CaseError, match=r"--dose .* --grid"):
        _check(water, plan=plan)
    check = _check(water, plan=plan, grid_mm=5.0)
    assert check.comparison is None
    assert check.is_passed is None
    assert "no-planned-dose" in {finding.code for finding in check.findings}


def test_criteria_are_read_or_refused() -> None:
    assert parse_criterion("2%/1.5mm") == (2.0, 1.5)
    for text in ("3/2", "3%", "3mm/2%", "-1%/2mm"):
        with pytest.raises(InputError, match="3%/2mm"):
            parse_criterion(text)


def test_command_writes_everything_and_can_be_repeated(water: WaterCase, tmp_path: Path) -> None:
    out = tmp_path / "check"
    command = ["dose", str(water.plan), "--case", str(water.folder), "--out", str(out)]
    command += ["--engine", "pencil-beam", "--quiet"]
    result = RUNNER.invoke(app, [*command, "--json"])
    assert result.exit_code == ExitCode.DONE, result.output
    document = json.loads(result.stdout)
    assert document["status"] == "passed"
    assert document["pass_percent"] == 100.0
    assert document["structures"][0]["structure"] == "PTV_0600"
    assert {path.name for path in out.iterdir()} == {
        "RTDOSE_recalculated.dcm",
        "dose-check.json",
        "figures",
        "report.html",
        "report.pdf",
    }
    written = read_planned_dose(out / "RTDOSE_recalculated.dcm")
    assert written.plan_uids == (dicom.read_plan(water.plan).instance_uid,)
    assert "not approved" in (out / "report.html").read_text(encoding="utf-8")
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    again = RUNNER.invoke(app, command)
    assert again.exit_code == ExitCode.DONE, again.output
    assert "3%/2mm global" in again.stdout
    assert "machine-not-commissioned" in (out / "dose-check.json").read_text(encoding="utf-8")


def test_command_leaves_with_3_below_the_pass_rate_and_keeps_foreign_folders(
    water: WaterCase, edited: Callable[..., Path], tmp_path: Path
) -> None:
    def scale(dataset: Dataset) -> None:
        dataset.DoseGridScaling = f"{float(dataset.DoseGridScaling) * 1.3:.8e}"

    path = edited(water.dose, scale)
    out = tmp_path / "out"
    command = ["dose", str(water.plan), "--case", str(water.folder), "--dose", str(path)]
    command += ["--engine", "pencil-beam", "--quiet"]
    result = RUNNER.invoke(app, [*command, "--out", str(out)])
    assert result.exit_code == ExitCode.LIMIT_EXCEEDED, result.output
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "letter.txt").write_text("mine")
    result = RUNNER.invoke(app, [*command, "--out", str(foreign)])
    assert result.exit_code == ExitCode.FAILED
    assert [item.name for item in foreign.iterdir()] == ["letter.txt"]
    bad = RUNNER.invoke(app, [*command, "--out", str(out), "--gamma", "3 and 2"])
    assert bad.exit_code == ExitCode.USAGE
