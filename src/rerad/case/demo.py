"""The demo patient: DICOM files as hospitals would send them, then the case from end to end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from rerad import dicom
from rerad.case.files import read_case, write_case
from rerad.case.import_folder import import_folder
from rerad.case.published_case import (
    PRIOR_FRACTIONS,
    PRIOR_PRESCRIPTIONS,
    complete,
)
from rerad.case.run import RunReport, replacing, run_case
from rerad.case.schema import PlanningTable
from rerad.core import (
    Course,
    Dose,
    Image,
    Mask,
    Patient,
    Plan,
    Prescription,
    RecordGrade,
    StructureSet,
)
from rerad.dicom import StudyHeader, UidFactory
from rerad.dosecalc import load_machine
from rerad.imaging import load_hounsfield_curve
from rerad.phantoms import PelvisPhantom, PelvisVisit, make_pelvis
from rerad.planning import (
    MediumSettings,
    ObjectiveSettings,
    PlanRequest,
    PlanSettings,
    Progress,
    Stopwatch,
    coplanar_beams,
    dose_grid_for,
    external_of,
    isocenter_of,
    make_medium,
    make_plan,
    rasterize_all,
)
from rerad.structures import contours_from_mask
from rerad.tables import load_table

PATIENT = Patient(patient_id="RERAD-DEMO-1", name="Phantom^Digital", sex="F")
"""Nobody: a digital phantom."""

SHORTER_BY_MM = 12.0
"""Today's scan is this much shorter than the first at either end."""

PHANTOM_DATE = date(2026, 1, 1)
"""Of today's images, because a PET needs one for its decay; the case itself is undated."""

COLORS: Mapping[str, tuple[int, int, int]] = {
    "GTV": (220, 30, 30),
    "CTV": (240, 200, 30),
    "PTV": (90, 160, 250),
}
"""Display colours by kind: GTV red and CTV yellow, as in the published figures."""


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """How finely the demo is made.

    Parameters
    ----------
    seed : int
        Of the phantom and of all UIDs.
    in_plane_mm, slice_mm : float
        CT voxels.
    shape_ji : tuple of int
        CT rows and columns.
    first_dose_grid_mm, dose_grid_mm : float
        Dose voxels of the first course, planned elsewhere, and of today's.
    max_evaluations, n_correction_passes : int
        Of the optimiser.
    """

    seed: int = 1
    in_plane_mm: float = 0.98
    slice_mm: float = 3.0
    shape_ji: tuple[int, int] = (512, 512)
    first_dose_grid_mm: float = 4.0
    dose_grid_mm: float = 3.0
    max_evaluations: int = 200
    n_correction_passes: int = 2

    @classmethod
    def quick(cls, seed: int = 1) -> "DemoSettings":
        """Return coarse settings: the same way through, for a look or a test, not for numbers."""
        return cls(
            seed=seed,
            in_plane_mm=3.0,
            slice_mm=6.0,
            shape_ji=(168, 168),
            first_dose_grid_mm=6.0,
            dose_grid_mm=6.0,
            max_evaluations=50,
            n_correction_passes=1,
        )

    def planning(self, table: dict[str, Any]) -> dict[str, Any]:
        """Return the proposed planning choices with these settings in them."""
        return {
            **table,
            "dose_grid_mm": self.dose_grid_mm,
            "max_evaluations": self.max_evaluations,
            "n_correction_passes": self.n_correction_passes,
        }


def run_demo(out: Path, *, settings: DemoSettings, progress: Progress) -> RunReport:
    """Make the demo patient, import her folder, complete the case file, and run it.

    Parameters
    ----------
    out : Path
        Gets `patient` (DICOM files), `case` (case.toml) and the results; an earlier demo there
        is replaced when the new one is complete.
    settings : DemoSettings
        How finely it is made.
    progress : callable
        Told what is being done.

    Returns
    -------
    RunReport
    """
    with replacing(out) as folder:
        watch = Stopwatch()
        write_demo_patient(folder / "patient", settings=settings, progress=progress, watch=watch)
        report = import_folder(folder / "patient", folder / "case")
        case = complete(read_case(report.case_file))
        planning = PlanningTable(**settings.planning(case.planning.model_dump()))
        write_case(case.model_copy(update={"planning": planning}), report.case_file)
        watch.lap("demo: importing the folder")
        run = run_case(
            folder / "case",
            out=folder / "result",
            steps_before=tuple(watch.steps),
            progress=progress,
        )
        for item in sorted(run.folder.iterdir()):
            item.rename(folder / item.name)
        run.folder.rmdir()
    return replace(
        run,
        folder=out,
        html=out / run.html.name,
        pdf=out / run.pdf.name,
        run_json=out / run.run_json.name,
        figures=tuple(out / path.relative_to(run.folder) for path in run.figures),
        dicom=tuple(out / path.relative_to(run.folder) for path in run.dicom),
    )


def write_demo_patient(
    folder: Path, *, settings: DemoSettings, progress: Progress, watch: Stopwatch
) -> None:
    """Write the demo patient's DICOM files.

    Course 1 (CT, RTSTRUCT, RTPLAN, RTDOSE) as another hospital would send it, without dates;
    today's CT, PET, MRI and RTSTRUCT in a frame of reference of their own.

    Parameters
    ----------
    folder : Path
        Made; gets `course-1` and `today`.
    settings : DemoSettings
        How finely it is made.
    progress : callable
        Told what is being done.
    watch : Stopwatch
        Gets the seconds of each step.
    """
    uids = UidFactory(f"rerad demo {settings}")
    progress("making the digital patient at her first course", 0.0)
    first_frame_uid = uids.new("frame")
    first = _make(PelvisVisit.first(first_frame_uid), settings)
    watch.lap("demo: digital patient, first course")
    _write_first_course(first, folder / "course-1", (uids, settings), progress)
    del first
    watch.lap("demo: first course planned and written")
    progress("making the digital patient today", 0.0)
    visit = PelvisVisit.second(uids.new("frame"), first_frame_uid=first_frame_uid)
    second = _make(visit, settings)
    second = shorter_scan(second, SHORTER_BY_MM)
    watch.lap("demo: digital patient, today")
    _write_today(second, folder / "today", uids, progress)
    watch.lap("demo: today's images written")


FIRST_DRAWN = (
    "Body",
    "CouchSurface",
    "GTVp_5500",
    "CTVn_4500",
    "PTV_5500",
    "PTV_4500",
    "Bladder",
    "Rectum",
    "Colon_Sigmoid",
    "Bowel_Small",
    "Femur_Head_L",
    "Femur_Head_R",
)
"""What the other hospital drew for the first course."""

TODAY_DRAWN = (
    "Body",
    "CouchSurface",
    "GTVn_4000",
    "CTV_3600",
    "PTV_4000",
    "PTV_3600",
    "Bladder",
    "Rectum",
    "Colon_Sigmoid",
    "Bowel_Small",
    "CaudaEquina",
    "ThecalSac",
    "SacralPlex_L",
    "SacralPlex_R",
    "NervRoot_L4_L",
    "NervRoot_L4_R",
    "NervRoot_L5_L",
    "NervRoot_L5_R",
    "NervRoot_S1_L",
    "NervRoot_S1_R",
    "NervRoot_S2_L",
    "NervRoot_S2_R",
    "NervRoot_S3_L",
    "NervRoot_S3_R",
    "A_Iliac_Cmn_R",
    "A_Iliac_Int_R",
    "Femur_Head_L",
    "Femur_Head_R",
    "Sacrum",
)
"""What was drawn for the second."""


def _make(visit: PelvisVisit, settings: DemoSettings) -> PelvisPhantom:
    """Return the phantom of one visit."""
    return make_pelvis(
        visit,
        seed=settings.seed,
        in_plane_mm=settings.in_plane_mm,
        slice_mm=settings.slice_mm,
        shape_ji=settings.shape_ji,
    )


def shorter_scan(phantom: PelvisPhantom, by_mm: float) -> PelvisPhantom:
    """Return a phantom whose CT, and what is drawn on it, ends earlier at head and feet.

    The first scan then covers all of today's in spite of the tilt, as a department would plan
    it: where the earlier dose is not on record, no sum can be made.
    """
    grid = phantom.ct.grid
    n = int(np.ceil(by_mm / grid.spacing_mm[2]))
    kept = grid.crop((n, 0, 0), (grid.shape[0] - n, *grid.shape[1:]))
    ct = replace(phantom.ct, values=phantom.ct.values[n : grid.shape[0] - n], grid=kept)
    masks = {}
    for name, mask in phantom.masks.items():
        first = grid.region_of(mask.grid)[0].start
        low, high = max(0, n - first), min(mask.grid.shape[0], grid.shape[0] - n - first)
        if low < high:
            part = mask.grid.crop((low, 0, 0), (high, *mask.grid.shape[1:]))
            masks[name] = replace(mask, fraction=mask.fraction[low:high], grid=part)
    return replace(phantom, ct=ct, masks=masks)


def structures_of(phantom: PelvisPhantom, label: str, names: Sequence[str]) -> StructureSet:
    """Return some of the phantom's masks as contours."""
    return StructureSet(
        label,
        tuple(
            contours_from_mask(
                mask.fraction,
                mask.grid,
                name=name,
                kind=mask.kind,
                color=color_of(name, mask),
            )
            for name, mask in ((name, phantom.masks[name]) for name in names)
        ),
    )


def color_of(name: str, mask: Mask) -> tuple[int, int, int]:
    """Return the display colour of a structure: by kind for targets, else from its name."""
    for kind, color in COLORS.items():
        if mask.kind.name == kind:
            return color
    code = sum(ord(letter) * (place + 1) for place, letter in enumerate(name))
    return 60 + code % 160, 60 + (code * 7) % 160, 60 + (code * 13) % 160


def _write_first_course(
    phantom: PelvisPhantom,
    folder: Path,
    making: tuple[UidFactory, DemoSettings],
    progress: Progress,
) -> None:
    """Plan the first course on the first CT and write it."""
    uids, settings = making
    header = StudyHeader(
        study_uid=uids.new("study"), uids=uids, study_description="Pelvis, course 1"
    )
    progress("writing the first CT", 0.0)
    image = dicom.write_image(phantom.ct, PATIENT, folder / "CT", study=header)
    structures = structures_of(phantom, "Course 1", FIRST_DRAWN)
    plan, dose = plan_first_course(image, structures, settings, progress)
    progress("writing the first course", 0.0)
    structures = dicom.write_structure_set(
        structures, image, PATIENT, folder / "RTSTRUCT.dcm", study=header
    )
    plan = replace(plan, structure_set_uid=structures.instance_uid)
    machine = load_machine(load_table("planning_proposal")["planning"]["machine"])
    plan = dicom.write_plan(
        plan, machine, PATIENT, folder / "RTPLAN.dcm", study=header, image=image, prior=None
    )
    dicom.write_dose(dose, PATIENT, folder / "RTDOSE.dcm", study=header, plans=(plan,))


def plan_first_course(
    image: Image, structures: StructureSet, settings: DemoSettings, progress: Progress
) -> tuple[Plan, Dose]:
    """Plan 55 and 45 Gy in 25 fractions on the first CT."""
    table = load_table("planning_proposal")
    planning, beams = settings.planning(table["planning"]), table["beams"]
    body = external_of(structures)
    grid = dose_grid_for(image, body, settings.first_dose_grid_mm)
    prescriptions = tuple(
        Prescription(item.structure, item.dose_gy) for item in PRIOR_PRESCRIPTIONS
    )
    wanted = {item.structure for item in prescriptions} | {body.name}
    masks = rasterize_all(
        StructureSet(
            structures.label, tuple(s for s in structures.structures if s.name in wanted)
        ),
        grid,
    )
    curve = load_hounsfield_curve(planning["hounsfield_curve"])
    outlines = StructureSet(structures.label, (body,))
    medium = make_medium(image, outlines, masks[body.name], grid, MediumSettings(curve))
    request = PlanRequest(
        label="Pelvis SIB",
        course=Course(
            name="Course 1",
            site="Pelvis",
            technique="IMRT",
            prescriptions=prescriptions,
            n_fractions_planned=PRIOR_FRACTIONS,
            n_fractions_delivered=PRIOR_FRACTIONS,
            grade=RecordGrade.FULL_DICOM,
        ),
        grid=grid,
        density=medium.density,
        masks=masks,
        body=masks[body.name],
        machine=load_machine(planning["machine"]),
        beams=coplanar_beams(
            tuple(beams["gantry_angles_deg"]),
            beams["collimator_angle_deg"],
            isocenter_of(masks["PTV_4500"]),
        ),
        organ_caps=(),
        physical_caps=(),
        objectives=ObjectiveSettings(**table["objectives"]),
        settings=PlanSettings(
            column_width_mm=beams["column_width_mm"],
            field_margin_mm=beams["field_margin_mm"],
            n_correction_passes=0,
            max_evaluations=planning["max_evaluations"] // 2,
            seed=planning["seed"],
        ),
    )
    outcome = make_plan(request, lambda what, share: progress(f"course 1, {what}", share))
    return outcome.plan, outcome.dose


def _write_today(
    phantom: PelvisPhantom, folder: Path, uids: UidFactory, progress: Progress
) -> None:
    """Write today's images and structures."""
    header = StudyHeader(
        study_uid=uids.new("study"),
        uids=uids,
        study_date=PHANTOM_DATE,
        study_description="Pelvis, re-irradiation",
    )
    progress("writing today's images", 0.0)
    image = dicom.write_image(phantom.ct, PATIENT, folder / "CT", study=header)
    for other, name in ((phantom.pet, "PT"), (phantom.mr, "MR")):
        if other is not None:
            dicom.write_image(other, PATIENT, folder / name, study=header)
    structures = structures_of(phantom, "Today", TODAY_DRAWN)
    dicom.write_structure_set(structures, image, PATIENT, folder / "RTSTRUCT.dcm", study=header)
