"""The published case that rerad exists for, as its record tells it; unknowns stay unknown.

A woman of 47 with nerve root metastases of a cervical carcinoma, irradiated twice. What the
record does not say is listed, not guessed; what a plan needs all the same is an assumption of the
demonstration and is said to be one.
"""

from rerad.case.history_schema import (
    CourseTable,
    EventTable,
    PrescriptionTable,
    PriorCourseTable,
)
from rerad.case.schema import AcceptedBreachTable, CaseFile, PatientTable
from rerad.evaluation import goal_structure

SUMMARY = (
    "A woman of 47 with squamous cell carcinoma of the cervix, operated, given chemotherapy and "
    "pelvic radiotherapy, now with intolerable pain of the right leg from metastases in the right "
    "L4/5 and L5/S1 nerve roots; re-irradiation is asked to relieve it."
)

UNKNOWNS = (
    "Details of the earlier adjuvant treatment.",
    "The interval between the end of the first and the start of the second course, and all dates.",
    "Fractions of the first course actually delivered; the record mentions none missed.",
    "The opioid dose before and after the second course: pain response cannot be classified.",
    "The dose prescribed to the CTV of the second course.",
    "Why the second course was stopped after 15 fractions.",
    "Imaging after the second course.",
)

ASSUMPTIONS = (
    "The first course is taken as delivered in full (25 of 25 fractions): the record reports no "
    "interruption.",
    "36 Gy in 22 fractions to the CTV of the second course, and margins of 5 mm to its planning "
    "target volumes: neither is stated in the record.",
    "The anatomy is a digital phantom, and the first plan was made by rerad on it: the real "
    "images and plans are not published.",
    "No recovery from the first course, because the interval is unknown.",
)

EVENTS = (
    EventTable(
        order=10,
        kind="diagnosis",
        title="Cervical carcinoma",
        text="Squamous cell carcinoma of the cervix. Stage unknown.",
    ),
    EventTable(
        order=20,
        kind="surgery",
        title="Surgery",
        text="Operated. Type of operation and findings unknown.",
    ),
    EventTable(
        order=30,
        kind="systemic therapy",
        title="Paclitaxel + carboplatin",
        text="Paclitaxel 210 mg and carboplatin 400 mg every 21 days, six courses.",
    ),
    EventTable(
        order=41,
        kind="systemic therapy",
        title="Cisplatin, weekly",
        text="Cisplatin 40 mg a week during the first radiotherapy course.",
        when="with course 1",
    ),
    EventTable(
        order=50,
        kind="symptom",
        title="Right leg pain",
        text="Intolerable pain of the right leg, VAS 8-9.",
        pain_score=(8, 9),
    ),
    EventTable(
        order=51,
        kind="function",
        title="Right leg weakness",
        text="Muscle grade 2+ of the right leg.",
        muscle_grade="2+",
    ),
    EventTable(
        order=52,
        kind="drug",
        title="Oxycodone",
        text="Oxycodone 60 mg every 12 hours: 120 mg a day, 180 mg oral morphine equivalent "
        "(factor 1.5).",
        oral_morphine_mg_day=180,
    ),
    EventTable(
        order=60,
        kind="imaging",
        title="MRI and bone scan",
        text="MRI and bone scan show nothing.",
    ),
    EventTable(
        order=61,
        kind="imaging",
        title="PET/CT",
        text="The right L4/5 and L5/S1 nerves of the sacral plexus are thickened: nerve root "
        "metastases.",
    ),
    EventTable(
        order=80,
        kind="symptom",
        title="Pain after course 2",
        text="Pain 5.",
        when="one month after course 2",
        pain_score=(5, 5),
    ),
    EventTable(
        order=81,
        kind="function",
        title="Strength after course 2",
        text="Muscle grade 4.",
        when="one month after course 2",
        muscle_grade="4",
    ),
    EventTable(
        order=90,
        kind="outcome",
        title="Death",
        text="She dies. Cause not stated.",
        when="three months after",
    ),
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
)

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
    earlier = proposal.prior_course[0]
    prior = PriorCourseTable(
        **{
            **earlier.model_dump(),
            "name": "Course 1",
            "site": "Pelvis",
            "technique": "IMRT, simultaneous integrated boost, with cisplatin",
            "prescriptions": [item.model_dump() for item in PRIOR_PRESCRIPTIONS],
            "n_fractions_delivered": PRIOR_FRACTIONS,
            "note": "Gross tumour 55 Gy, planning target volume 45 Gy, 25 fractions.",
            "order": 40,
        }
    )
    return proposal.model_copy(
        update={
            "title": "Nerve root metastases after pelvic radiotherapy (published case, phantom)",
            "patient": PatientTable(summary=SUMMARY, age_years=47),
            "unknowns": UNKNOWNS,
            "assumptions": ASSUMPTIONS,
            "current_course": CURRENT,
            "prior_course": (prior,),
            "event": EVENTS,
            "goals": (*_target_goals(proposal), *FURTHER_GOALS),
            "accepted_breach": ACCEPTED,
        }
    )


def _target_goals(proposal: CaseFile) -> tuple[str, ...]:
    """Keep the proposed goals of the prescribed targets."""
    names = {item.structure for item in CURRENT.prescriptions}
    return tuple(line for line in proposal.goals if goal_structure(line) in names)
