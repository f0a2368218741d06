"""The published case that rerad exists for, as its record tells it; unknowns stay unknown.

A woman of 47 with nerve root metastases of a cervical carcinoma, irradiated twice. What the
record does not say is listed, not guessed; what a plan needs all the same is an assumption of the
demonstration and is said to be one.
"""

import tomllib
from importlib.resources import files

from rerad.case.history_schema import (
    CourseTable,
    HistoryFile,
    HistoryTables,
    PrescriptionTable,
    PriorCourseTable,
)
from rerad.case.nerve_schema import NervesTable
from rerad.case.schema import AcceptedBreachTable, CaseFile, ConsultTable, PatientTable
from rerad.evaluation import goal_structure

HISTORY = files("rerad.case") / "published_history.toml"
"""The record, statement by statement; the same as ``examples/published_case/history.toml``."""

ASSUMPTIONS = (
    "The first course is taken as delivered in full (25 of 25 fractions): the record reports no "
    "interruption.",
    "36 Gy in 22 fractions to the CTV of the second course, and margins of 5 mm to its planning "
    "target volumes: neither is stated in the record.",
    "The anatomy is a digital phantom, and the first plan was made by rerad on it: the real "
    "images and plans are not published.",
    "No recovery from the first course, because the interval is unknown.",
)

CURRENT = CourseTable(
    name="Course 2",
    site="Right lumbosacral nerve roots and lymphatic drainage",
    technique="IMRT, 9 coplanar fields, sliding window",
    prescriptions=(
        PrescriptionTable(structure="PTV_4000", dose_gy=40.0),
        PrescriptionTable(structure="PTV_3600", dose_gy=36.0),
    ),
    n_fractions_planned=22,
    n_fractions_delivered=15,
    delivered_dose_gy=27.0,
    note="GTV (involved roots) 40 Gy in 22 fractions; CTV: the lymphatic drainage.",
    order=70,
    modality="photons",
    intent="palliative",
    institution="unknown",
    is_reirradiation=True,
    stop_reason="unknown",
)

CONSULT = ConsultTable(
    reason="Relief of intolerable pain of the right leg.",
    performance_status="unknown",
    life_expectancy="unknown",
    quality_of_life="unknown",
    response_to_earlier_courses="unknown; nerve root metastases appeared later",
    toxicity_of_earlier_courses="unknown",
    multidisciplinary_decision="unknown",
    shared_decision="unknown",
    earlier_isodose_gy=22.5,
    current_isodose_gy=18.0,
)
"""What counts as irradiated is half of the lowest dose prescribed: a choice of the demonstration,
the consensus names none."""

NERVES = NervesTable(
    ct_fwhm_mm=(0.8, 0.8, 0.0),
    pet_fwhm_mm=(6.0, 6.0, 6.0),
    pet_fwhm_sd_mm=0.5,
    roots={
        f"{root}_{side}": f"NervRoot_{root}_{side}" for root in ("L4", "L5", "S1") for side in "RL"
    },
    references={"blood pool": ("A_Iliac_Cmn_R",)},
)
"""The roots of the digital phantom, and the point spreads that its images were made with."""

PRIOR_PRESCRIPTIONS = (
    PrescriptionTable(structure="GTVp_5500", dose_gy=55.0),
    PrescriptionTable(structure="PTV_4500", dose_gy=45.0),
)
"""Simultaneous integrated boost of the first course, in 25 fractions."""

PRIOR_FRACTIONS = 25

ACCEPTED = (
    AcceptedBreachTable(
        structure="SacralPlex_R",
        reason="The involved roots are part of the right sacral plexus: the target lies in the "
        "organ, and the aim is to relieve intolerable pain.",
    ),
)

FURTHER_GOALS = (
    "3: SacralPlex_L Dmean <= 15 Gy -- demonstration: the healthy side as low as it goes",
    "3: Body D2cm <= 80% -- demonstration: fall-off",
    "PTV_4000 HI <= 0.15 -- demonstration: homogeneity, judged and not ranked",
)
"""What the demonstration ranks behind its targets: choices to show, no clinical limits."""


def published_history() -> HistoryFile:
    """Return the published record as the file tells it."""
    return HistoryFile.model_validate(tomllib.loads(HISTORY.read_text(encoding="utf-8")))


def complete(proposal: CaseFile) -> CaseFile:
    """Fill the case file that `rerad import` proposes with what the published record says.

    Parameters
    ----------
    proposal : CaseFile
        From the demo patient's folder, with one earlier course.

    Returns
    -------
    CaseFile
    """
    earlier, told = proposal.prior_course[0], published_history()
    prior = PriorCourseTable(
        **{
            **earlier.model_dump(),
            "name": "Course 1",
            "site": "Pelvis",
            "technique": "IMRT, simultaneous integrated boost, with cisplatin",
            "prescriptions": [item.model_dump() for item in PRIOR_PRESCRIPTIONS],
            "n_fractions_delivered": PRIOR_FRACTIONS,
            "modality": "photons",
            "intent": "unknown",
            "institution": "unknown",
            "is_reirradiation": False,
            "months_since_previous": "not applicable",
            "note": "Gross tumour 55 Gy, planning target volume 45 Gy, 25 fractions.",
            "order": 40,
        }
    )
    return proposal.model_copy(
        update={
            "title": "Nerve root metastases after pelvic radiotherapy (published case, phantom)",
            "patient": PatientTable(summary=told.patient.summary, age_years=47),
            "unknowns": told.unknowns,
            "assumptions": ASSUMPTIONS,
            "current_course": CURRENT,
            "consult": CONSULT,
            "nerves": NERVES,
            "prior_course": (prior,),
            **{kind: getattr(told, kind) for kind in HistoryTables.model_fields},
            "goals": (*_target_goals(proposal), *FURTHER_GOALS),
            "accepted_breach": ACCEPTED,
        }
    )


def _target_goals(proposal: CaseFile) -> tuple[str, ...]:
    """Keep the proposed goals of the prescribed targets."""
    names = {item.structure for item in CURRENT.prescriptions}
    return tuple(line for line in proposal.goals if goal_structure(line) in names)
