"""A small made-up case with everything a report can show, unknowns included."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from rerad.core import (
    Beam,
    BeamGeometry,
    Contour,
    ControlPoint,
    Course,
    Dose,
    DoseQuantity,
    DoseScope,
    ElectronContamination,
    EventKind,
    Finding,
    Goal,
    Grid,
    HeadScatter,
    HistoryEvent,
    Image,
    ImageUnit,
    InputRecord,
    Machine,
    Mask,
    Mlc,
    Modality,
    Patient,
    PatientPosition,
    PencilKernel,
    PhotonBeam,
    Plan,
    Prescription,
    Provenance,
    RecordGrade,
    RecoveryBasis,
    ReferenceCondition,
    RigidTransform,
    Severity,
    Spectrum,
    StepTime,
    Structure,
    StructureKind,
    StructureSet,
    Study,
    TreatmentHistory,
)
from rerad.evaluation import GoalResult, Verdict, dvh, evaluate_goal, evaluate_metric
from rerad.planning.result import (
    BudgetRow,
    BudgetScenario,
    CaseResult,
    Convergence,
    DeliveryState,
    PriorCourse,
    SummaryRow,
    TargetDelivery,
)
from rerad.radiobiology import bed, eqd2, physical_from_eqd2
from rerad.registration import RegistrationQuality

TODAY, BEFORE = "1.2.3.1", "1.2.3.2"
CT = Grid((44, 112, 152), (-188.75, -138.75, -86.0), (2.5, 2.5, 4.0), TODAY)
DOSE = Grid((30, 62, 86), (-170.0, -122.0, -72.0), (4.0, 4.0, 5.0), TODAY)
SLEVIN = "Slevin F et al. Radiother Oncol 2021 (pelvic re-irradiation Delphi)"
MICHIGAN = "Michigan re-irradiation guideline (Paradis KC et al., Adv Radiat Oncol 2019;4:559-65)"

Shape = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def ellipse(
    center: tuple[float, float],
    radii: tuple[float, float],
    slope: tuple[float, float],
    z_range: tuple[float, float],
) -> tuple[Shape, Callable[[float], np.ndarray | None]]:
    """A leaning elliptical tube: its inside test and its contour at a height."""

    def center_at(z: np.ndarray | float) -> tuple[np.ndarray | float, np.ndarray | float]:
        return center[0] + slope[0] * z, center[1] + slope[1] * z

    def inside(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        cx, cy = center_at(z)
        r = ((x - cx) / radii[0]) ** 2 + ((y - cy) / radii[1]) ** 2
        return (r <= 1) & (z >= z_range[0]) & (z <= z_range[1])

    def contour(z: float) -> np.ndarray | None:
        if not z_range[0] <= z <= z_range[1]:
            return None
        angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
        cx, cy = center_at(z)
        return np.column_stack([cx + radii[0] * np.cos(angle), cy + radii[1] * np.sin(angle)])

    return inside, contour


SHAPES = {
    "Body": (StructureKind.EXTERNAL, ellipse((0, -5), (172, 118), (0, 0), (-90, 90))),
    "GTV_Nerve": (StructureKind.GTV, ellipse((-32, 28), (6, 7), (-0.3, -0.2), (-32, 34))),
    "CTV_Nodes": (StructureKind.CTV, ellipse((-38, 18), (22, 30), (-0.3, -0.2), (-46, 48))),
    "PTV": (StructureKind.PTV, ellipse((-38, 18), (28, 36), (-0.3, -0.2), (-52, 54))),
    "SacralPlex_R": (StructureKind.OAR, ellipse((-34, 30), (9, 9), (-0.3, -0.2), (-62, 58))),
    "CaudaEquina": (StructureKind.OAR, ellipse((0, 62), (8, 7), (0, 0.1), (-20, 60))),
    "Bladder": (StructureKind.OAR, ellipse((2, -48), (36, 26), (0, 0), (-84, -30))),
    "Rectum": (StructureKind.OAR, ellipse((4, 36), (15, 17), (0, 0.2), (-84, -20))),
    "Bowel_Small": (StructureKind.OAR, ellipse((10, -50), (70, 36), (0, 0), (-4, 80))),
}
ALPHA_BETA = {
    "SacralPlex_R": 2.0,
    "CaudaEquina": 2.0,
    "Bladder": 3.0,
    "Rectum": 3.0,
    "Bowel_Small": 3.0,
}


def points(grid: Grid) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    x, y, z = grid.axes_mm
    return x[None, None, :], y[None, :, None], z[:, None, None]


def make_ct(shift: float, seed: int, frame: str) -> Image:
    x, y, z = points(CT)
    hu = np.full(CT.shape, -1000.0)
    skin = ((x / 172) ** 2 + ((y + 5) / 118) ** 2 <= 1) & (z > -200)
    hu[skin] = -95
    hu[((x / 150) ** 2 + ((y + 2) / 96) ** 2 <= 1) & (z > -200)] = 45
    for side in (-1, 1):
        wing = ((x - side * (95 - 0.1 * z)) / 16) ** 2 + ((y - 12 + 0.3 * z) / 52) ** 2 <= 1
        hu[wing & (z > -60)] = 420
        hu[((x - side * 95) / 24) ** 2 + ((y - 5) / 24) ** 2 + ((z + 70) / 26) ** 2 <= 1] = 520
    hu[((x / 42) ** 2 + ((y - 62 - 0.2 * z) / 26) ** 2 <= 1) & (z > -70)] = 330
    hu[((x / 11) ** 2 + ((y - 64) / 8) ** 2 <= 1) & (z > -20)] = 20
    bladder = ((x - 2) / 36) ** 2 + ((y + 48) / 26) ** 2 + ((z + 57) / (27 + shift)) ** 2 <= 1
    hu[bladder] = 5
    gas = ((x - 20) / 14) ** 2 + ((y + 60) / 9) ** 2 + ((z - 20) / 18) ** 2 <= 1
    hu[gas] = -850
    noise = np.random.default_rng(seed).normal(0, 16, CT.shape)
    grid = replace(CT, frame_uid=frame)
    return Image((hu + noise).astype(np.int16), grid, Modality.CT, ImageUnit.HU)


def make_structures() -> StructureSet:
    heights = CT.axes_mm[2]
    colors = [
        (255, 255, 255),
        (255, 0, 0),
        (255, 255, 0),
        (255, 128, 200),
        (0, 200, 120),
        (0, 160, 255),
        (255, 160, 0),
        (160, 90, 60),
        (120, 220, 120),
    ]
    items = []
    for color, (name, (kind, (_, contour))) in zip(colors, SHAPES.items(), strict=True):
        drawn = [(float(z), contour(float(z))) for z in heights]
        contours = tuple(Contour(z, p) for z, p in drawn if p is not None)
        items.append(Structure(name, kind, TODAY, contours, 4.0, color))
    return StructureSet("TODAY", tuple(items), "1.2.3.10")


def make_masks() -> dict[str, Mask]:
    x, y, z = points(DOSE)
    masks = {}
    for name, (kind, (inside, _)) in SHAPES.items():
        full = np.broadcast_to(inside(x, y, z), DOSE.shape)
        where = np.argwhere(full)
        low, high = where.min(axis=0), where.max(axis=0) + 1
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        grid = DOSE.crop(tuple(int(v) for v in low), tuple(int(v) for v in high))
        masks[name] = Mask(name, kind, full[box].astype(np.float32), grid)
    return masks


def falloff(cx: float, cy: float, rx: float, ry: float, rz: float, top: float) -> np.ndarray:
    x, y, z = points(DOSE)
    r = np.sqrt(((x - cx + 0.3 * z) / rx) ** 2 + ((y - cy + 0.2 * z) / ry) ** 2 + (z / rz) ** 2)
    return top / (1 + np.exp((r - 1.25) * 7)) + 0.08 * top * np.exp(-((r / 4) ** 2))


def make_beams() -> tuple[Beam, ...]:
    edges = leaf_edges()
    centers = 0.5 * (edges[1:] + edges[:-1])
    beams = []
    for number, angle in enumerate(range(0, 360, 40), 1):
        spread = np.sqrt(np.clip(1 - (centers / 62) ** 2, 0, 1))
        control = []
        for weight in np.linspace(0, 1, 9):
            lead = spread * (-38 + 88 * min(1, weight * 1.25 + 0.12 * np.sin(number)))
            trail = spread * (-38 + 76 * max(0, weight * 1.2 - 0.2))
            low, high = np.minimum(trail, lead), np.maximum(trail, lead)
            control.append(ControlPoint(weight, (-45, 45), (-65, 65), np.array([low, high])))
        geometry = BeamGeometry(f"G{angle:03d}", angle, 0.0, 0.0, (-38.0, 18.0, 0.0))
        beams.append(Beam(number, geometry, tuple(control), 55.0 + 9 * number))
    return tuple(beams)


def leaf_edges() -> np.ndarray:
    return np.concatenate(
        [np.arange(-200, -100, 10), np.arange(-100, 100, 5), np.arange(100, 201, 10)]
    ).astype(float)


def make_machine() -> Machine:
    mlc = Mlc(leaf_edges(), -200, 200, 150, 25, 0.5, 0.015, 1.0, 80.0, 0.8, True)
    kernel = PencilKernel(
        np.array([0.0, 100.0]), np.array([0.0, 10.0]), np.ones((2, 1)), "made up"
    )
    beam = PhotonBeam(
        "6X",
        6.0,
        True,
        600.0,
        Spectrum([2.0], [1.0]),
        kernel,
        off_axis_radius_mm=[0.0],
        off_axis_ratio=[1.0],
        off_axis_depth_scale=[1.0],
        focal_sigma_mm=(1.5, 1.5),
        head_scatter=HeadScatter(0.0, 50.0),
        electrons=ElectronContamination(0.0, 10.0, 20.0),
        reference=ReferenceCondition(100.0, 900.0, 100.0, 0.01),
    )
    limits = (-200.0, 200.0)
    return Machine(
        "GENERIC-6MV",
        "rerad",
        "generic",
        1000.0,
        limits,
        limits,
        0.004,
        mlc,
        beam,
        False,
        "made up",
    )


def make_history() -> TreatmentHistory:
    prior = Course(
        "Course 1",
        "pelvis",
        "IMRT, simultaneous integrated boost",
        (Prescription("GTV", 55.0), Prescription("PTV", 45.0)),
        25,
        25,
        grade=RecordGrade.FULL_DICOM,
    )
    kind = EventKind
    events = (
        HistoryEvent(
            1,
            kind.DIAGNOSIS,
            "Cervical cancer <stage II>",
            "Squamous cell carcinoma & pelvic nodes at diagnosis.",
        ),
        HistoryEvent(
            2, kind.SURGERY, "Radical hysterectomy", "With pelvic lymph node dissection."
        ),
        HistoryEvent(
            3, kind.SYSTEMIC, "Chemotherapy", "Platinum-based, number of cycles unknown."
        ),
        HistoryEvent(
            5,
            kind.SYMPTOM,
            "Pain in the right leg",
            "Pain along L5 and S1, worse at night; opioid of unknown dose.",
            "months after course 1",
            pain_score=(8, 9),
            muscle_grade="2+",
        ),
        HistoryEvent(
            6,
            kind.IMAGING,
            "PET/CT and MRI",
            "Thickened, avid right L4/5 and L5/S1 nerves on PET/CT; MRI without finding.",
        ),
        HistoryEvent(
            8,
            kind.OUTCOME,
            "Pain relief",
            "Pain fell; oxycodone 60 mg every 12 hours.",
            "one month after course 2",
            pain_score=(5, 5),
            muscle_grade="4",
            oral_morphine_mg_day=180.0,
        ),
        HistoryEvent(9, kind.OUTCOME, "Death", "Of progressive disease.", ""),
    )
    return TreatmentHistory(
        Patient("RERAD-DEMO-01", "Doe^Jane <test>", None, "F"),
        "Woman with perineural recurrence of cervical cancer along the right L4/5 and L5/S1 "
        "nerves, in pain, inside a field that was irradiated before: second course asked for "
        "pain relief.",
        (prior,),
        (4,),
        events,
        (
            "Interval between course 1 and today's course",
            "Opioid dose before treatment",
            "Planning technique of course 1 beyond its plan file",
        ),
    )


def make_prior() -> PriorCourse:
    physical = falloff(-25, 22, 48, 52, 62, 55.0)
    physical[-2:] = np.nan
    angle = math.radians(3.2)
    matrix = np.eye(4)
    matrix[1:3, 1:3] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    matrix[:3, 3] = (1.4, -2.0, 1.0)
    history = make_history()
    ct = make_ct(6.0, 5, BEFORE)
    study = Study(ct, dose=None)
    converted = {
        ab: Dose(np.asarray(eqd2(physical, 25, ab)), DOSE, DoseQuantity.EQD2, ab)
        for ab in (2.0, 3.0, 10.0)
    }
    note = Finding(
        Severity.NOTE,
        "pelvic-tilt",
        "The pelvis is tilted by 3° against the earlier CT.",
        "Course 1",
    )
    quality = RegistrationQuality(
        0.93,
        0.71,
        2.2,
        0.95,
        0.98,
        2.0,
        0.8,
        "Brock KK et al. AAPM TG-132, Med Phys 2017;44:e43, doi:10.1002/mp.12256",
        (note,),
    )
    resampled = Image(np.zeros(DOSE.shape, np.int16), DOSE, Modality.CT, ImageUnit.HU)
    return PriorCourse(
        history.courses[0],
        study,
        RigidTransform(matrix, BEFORE, TODAY),
        quality,
        resampled,
        Dose(physical, DOSE),
        converted,
        findings=(note,),
    )


def make_goals() -> tuple[Goal, ...]:
    plan, total, raw = DoseScope.PLAN, DoseScope.CUMULATIVE, RecoveryBasis.RAW
    return (
        Goal("GTV_Nerve", "D95%", plan, "Gy", at_least=38.0),
        Goal("CTV_Nodes", "D95%", plan, "Gy", at_least=36.0),
        Goal(
            "SacralPlex_R",
            "D0.1cc",
            total,
            "Gy",
            at_most=67.0,
            alpha_beta_gy=2.0,
            recovery_basis=raw,
            citation=SLEVIN,
            trust="R2",
            note="consensus, no recovery",
        ),
        Goal(
            "CaudaEquina",
            "D0.1cc",
            total,
            "Gy",
            at_most=67.0,
            alpha_beta_gy=2.0,
            recovery_basis=raw,
            citation=SLEVIN,
            trust="R2",
        ),
        Goal(
            "Bladder",
            "D0.5cc",
            total,
            "Gy",
            at_most=80.0,
            alpha_beta_gy=3.0,
            recovery_basis=raw,
            citation=SLEVIN,
            trust="R2",
            note="no consensus",
        ),
        Goal(
            "Rectum",
            "D0.5cc",
            total,
            "Gy",
            at_most=80.0,
            alpha_beta_gy=3.0,
            recovery_basis=raw,
            citation=SLEVIN,
            trust="R2",
        ),
        Goal(
            "Bowel_Small",
            "D0.5cc",
            total,
            "Gy",
            at_most=70.0,
            alpha_beta_gy=3.0,
            recovery_basis=raw,
            citation=SLEVIN,
            trust="R2",
            note="majority only",
        ),
    )


def make_state(n: int, prior: PriorCourse, masks: dict[str, Mask]) -> DeliveryState:
    plan_gy = falloff(-38, 18, 26, 33, 48, 41.0)
    physical = Dose((plan_gy * n / 22).astype(np.float32), DOSE, label="plan")
    cumulative = {}
    for ab, before in prior.eqd2_on_planning.items():
        own = np.asarray(eqd2(plan_gy, 22, ab)) * n / 22
        cumulative[ab] = Dose(own + before.values, DOSE, DoseQuantity.EQD2, ab)
    physical_dvhs = {name: dvh(physical, mask) for name, mask in masks.items()}
    by_organ = {"GTV_Nerve": 10.0, **ALPHA_BETA}
    cumulative_dvhs = {name: dvh(cumulative[ab], masks[name]) for name, ab in by_organ.items()}
    goals = []
    for goal in make_goals():
        source = physical_dvhs if goal.scope is DoseScope.PLAN else cumulative_dvhs
        result = evaluate_goal(goal, source[goal.structure], prescription_gy=None)
        if goal.structure == "SacralPlex_R" and result.verdict is Verdict.EXCEEDED:
            result = replace(result, verdict=Verdict.ACCEPTED)
        goals.append(result)
    label = f"{'planned' if n == 22 else 'delivered'}, {n} fractions"
    return DeliveryState(
        label, n, physical, cumulative, physical_dvhs, cumulative_dvhs, tuple(goals)
    )


def make_summary(
    planned: DeliveryState, delivered: DeliveryState, prior: PriorCourse, masks: dict[str, Mask]
) -> tuple[SummaryRow, ...]:
    rows = []
    for now, later in zip(planned.goals, delivered.goals, strict=True):
        name, metric = now.goal.structure, now.goal.metric
        is_target = masks[name].kind.is_target
        ab = 10.0 if is_target else ALPHA_BETA[name]

        def value(dose: Dose, name: str = name, metric: str = metric) -> float:
            return evaluate_metric(metric, dvh(dose, masks[name]))

        rows.append(
            SummaryRow(
                name,
                is_target,
                metric,
                value(planned.physical),
                value(prior.eqd2_on_planning[ab]),
                value(planned.cumulative[ab]),
                value(delivered.cumulative[ab]),
                ab,
                now,
                later,
            )
        )
    return tuple(rows)


def make_budget(prior: PriorCourse, masks: dict[str, Mask]) -> tuple[BudgetRow, ...]:
    rows = []
    spans = (
        ("0-3 months", 0.0),
        ("3-6 months", 0.1),
        ("6-12 months", 0.25),
        ("over 12 months", 0.5),
    )
    limits = (
        ("SacralPlex_R", 70.0),
        ("CaudaEquina", 60.0),
        ("Bladder", 85.0),
        ("Bowel_Small", 54.0),
    )
    for name, limit in limits:
        given = evaluate_metric("D0.1cc", dvh(prior.eqd2_on_planning[2.0], masks[name]))
        goal = Goal(
            name,
            "D0.1cc",
            DoseScope.CUMULATIVE,
            "Gy",
            at_most=limit,
            alpha_beta_gy=2.5,
            recovery_basis=RecoveryBasis.DISCOUNTED,
            citation=MICHIGAN,
            trust="R2",
        )
        scenarios = []
        for label, share in spans:
            left = np.maximum(limit - given * (1 - share), 0.0)
            fits = np.isfinite(left)
            physical = float(physical_from_eqd2(float(left), n_fractions=22, alpha_beta_gy=2.5))
            scenarios.append(
                BudgetScenario(
                    label,
                    share,
                    given * (1 - share),
                    limit,
                    float(left),
                    physical if fits else math.nan,
                    MICHIGAN,
                    share == 0.0,
                )
            )
        rows.append(BudgetRow(name, goal, "Michigan", tuple(scenarios)))
    slevin = make_goals()[2]
    given = evaluate_metric("D0.1cc", dvh(prior.eqd2_on_planning[2.0], masks["SacralPlex_R"]))
    raw = tuple(
        BudgetScenario(
            label,
            0.0,
            given,
            limit,
            max(limit - given, 0.0),
            float(physical_from_eqd2(limit - given, n_fractions=22, alpha_beta_gy=2.0)),
            SLEVIN,
            False,
        )
        for label, limit in (("no recovery", 67.0), ("12 months or more", 85.0))
    )
    return (*rows, BudgetRow("SacralPlex_R", slevin, "Slevin 2021", raw))


def make_case() -> CaseResult:
    masks, prior, history = make_masks(), make_prior(), make_history()
    planned, delivered = make_state(22, prior, masks), make_state(15, prior, masks)
    levels = (Prescription("GTV_Nerve", 40.0), Prescription("CTV_Nodes", 40.0))
    current = Course(
        "Course 2",
        "right L4/5 and L5/S1 nerves",
        "IMRT, 9 beams",
        levels,
        22,
        15,
        27.0,
        grade=RecordGrade.FULL_DICOM,
        stop_reason="patient's wish",
    )
    plan = Plan(
        "RSCH_COURSE2",
        TODAY,
        PatientPosition.HFS,
        "GENERIC-6MV",
        22,
        levels,
        make_beams(),
        "1.2.3.20",
        "1.2.3.10",
    )
    x, y, z = points(CT)
    gtv = SHAPES["GTV_Nerve"][1][0](x, y, z)
    bladder = SHAPES["Bladder"][1][0](x, y, z)
    rng = np.random.default_rng(3)
    suv = 0.7 + 0.2 * rng.random(CT.shape) + 4.8 * gtv + 14 * bladder
    pet = Image(suv.astype(np.float32), CT, Modality.PET, ImageUnit.SUVBW)
    ct = make_ct(0.0, 4, TODAY)
    mr = Image(
        (400 - 0.4 * np.clip(ct.values, -400, 400) + 12 * rng.normal(size=CT.shape)).astype(
            np.float32
        ),
        CT,
        Modality.MR,
        ImageUnit.ARBITRARY,
    )
    targets = tuple(
        TargetDelivery(
            p,
            10.0,
            bed(40.0, 22, 10.0),
            bed(27.0, 15, 10.0),
            bed(40.0, 22, 10.0) - bed(27.0, 15, 10.0),
            27.0,
            "Hall EJ, Radiobiology for the Radiologist, ch. 22",
        )
        for p in levels
    )
    findings = (
        Finding(
            Severity.NOTE,
            "limit-second-hand",
            "The limits of SacralPlex_R were read in a transcription of the source.",
        ),
        Finding(
            Severity.SERIOUS,
            "interval-unknown",
            "The interval since the earlier course is "
            "unknown; the budget shows every interval that cannot be excluded.",
        ),
        Finding(
            Severity.CAUTION,
            "fraction-dose",
            "40 Gy in 22 is 1.818 Gy a fraction, 27 Gy in 15 is 1.800 Gy.",
            "Course 2",
        ),
        Finding(
            Severity.SERIOUS,
            "limit-knowingly-exceeded",
            "The limit of SacralPlex_R <67 Gy> is knowingly exceeded.",
            "SacralPlex_R",
        ),
    )
    provenance = Provenance(
        "0.1.0",
        {"numpy": np.__version__, "scipy": "1.17"},
        {
            "dose_grid_mm": 3.0,
            "rule_set": "slevin2021",
            "seed": 7,
            "interval_months": None,
            "is_quick": False,
        },
        (
            InputRecord("planning CT, 44 slices", "1.2.3.4", "ab" * 32),
            InputRecord("RTDOSE of Course 1", "1.2.3.5", "cd" * 32),
        ),
        (
            StepTime("registration", 9.1),
            StepTime("dose influence", 21.4),
            StepTime("optimisation", 30.2),
            StepTime("final dose", 6.5),
        ),
    )
    objective = tuple(120.0 * math.exp(-k / 9) + 1.3 for k in range(60))
    return CaseResult(
        title="Re-irradiation of the right lumbosacral nerves",
        history=history,
        current=current,
        current_order=7,
        planning_image=ct,
        structures=make_structures(),
        masks=masks,
        pet_suv=pet,
        mr=mr,
        priors=(prior,),
        budget=make_budget(prior, masks),
        machine=make_machine(),
        plan=plan,
        planned=planned,
        delivered=delivered,
        summary=make_summary(planned, delivered, prior, masks),
        targets=targets,
        convergence=Convergence(objective, {"GTV_Nerve underdose": 0.4}, "change below 1e-4"),
        complexity={
            "mu_per_gy": 512.3,
            "modulation_complexity_score": 0.31,
            "mean_aperture_cm2": 18.4,
        },
        assumptions=(
            "Recovery is taken as none, because the interval is unknown.",
            "Course 1 was delivered as planned.",
        ),
        findings=findings,
        provenance=provenance,
    )


def goal_result(goal: Goal, value: float, verdict: Verdict) -> GoalResult:
    return GoalResult(goal, value, value, value, verdict, 0.0, "physical dose")


@pytest.fixture(scope="session")
def case_result() -> CaseResult:
    return make_case()
