"""What tissues look like on CT (HU), on FDG-PET (SUV) and on T2-weighted MR (arbitrary units).

CT numbers are usual ones at 120 kV without contrast medium. Uptake is physiologic an hour after
injection, with urine in the bladder and one avid lesion. MR is a turbo spin echo without fat
suppression: fat and fluid bright, muscle dark, cortical bone and gas black.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tissue:
    """How a painted shape looks.

    Parameters
    ----------
    core, texture : float
        Mean value of the core and standard deviation of its texture.
    grain_mm : float
        Size of the texture.
    shell, shell_mm, shell_texture : float
        A layer inside the surface: cortex, wall.
    rim, rim_mm : float
        A layer outside the surface: fat plane, cartilage.
    edge_mm : float
        Width over which the edge is blurred.
    """

    core: float
    texture: float = 0.0
    grain_mm: float = 3.0
    shell: float = 0.0
    shell_mm: float = 0.0
    shell_texture: float = 0.0
    rim: float = 0.0
    rim_mm: float = 0.0
    edge_mm: float = 1.3


@dataclass(frozen=True)
class Palette:
    """Tissues of one modality.

    Parameters
    ----------
    air : float
        Value of air around the patient.
    couch, fat, visceral_fat, muscle, artery, vein, nerve, lesion : Tissue
        Outside in; `lesion` is the thickened part of an involved root.
    hip, femur, shaft, head, vertebra, sacrum, marrow, disc, cartilage, canal, sac : Tissue
        Bones, joints and what is in the spinal canal; `shaft` and `marrow` those of the femoral
        shaft.
    streak : Tissue
        Fat between muscle fibres.
    bladder, ureter, colon, bowel, gas, cuff, vagina, mesentery : Tissue
        Organs; `mesentery` are its vessels.
    """

    air: float
    couch: Tissue
    fat: Tissue
    visceral_fat: Tissue
    muscle: Tissue
    artery: Tissue
    vein: Tissue
    nerve: Tissue
    lesion: Tissue
    hip: Tissue
    femur: Tissue
    shaft: Tissue
    head: Tissue
    streak: Tissue
    vertebra: Tissue
    sacrum: Tissue
    marrow: Tissue
    disc: Tissue
    cartilage: Tissue
    canal: Tissue
    sac: Tissue
    bladder: Tissue
    ureter: Tissue
    colon: Tissue
    bowel: Tissue
    gas: Tissue
    cuff: Tissue
    vagina: Tissue
    mesentery: Tissue


COUCH_SHELL_MM = 2.0
"""Thickness of the carbon shell of the couch."""

CT = Palette(
    air=-1000,
    couch=Tissue(-930, 5, 4.0, shell=-60, shell_mm=COUCH_SHELL_MM, edge_mm=1.0),
    fat=Tissue(-104, 5, 4.0, shell=0, shell_mm=1.7, edge_mm=1.6),
    visceral_fat=Tissue(-104, 8, 3.0),
    muscle=Tissue(57, 7, 2.6, edge_mm=1.5),
    artery=Tissue(43, 3, 3.0, shell=52, shell_mm=0.9),
    vein=Tissue(41, 3, 3.0),
    nerve=Tissue(34, 4, 2.0, edge_mm=1.0),
    lesion=Tissue(46, 5, 2.0, edge_mm=1.0),
    hip=Tissue(150, 48, 2.0, shell=820, shell_mm=1.7, shell_texture=110),
    femur=Tissue(110, 45, 2.0, shell=800, shell_mm=1.5, shell_texture=90),
    shaft=Tissue(1300, 60, 2.0, edge_mm=3.0),
    head=Tissue(240, 45, 2.0, edge_mm=9.0),
    streak=Tissue(-55, edge_mm=1.2),
    vertebra=Tissue(150, 42, 1.8, shell=480, shell_mm=1.2, shell_texture=90),
    sacrum=Tissue(85, 42, 2.0, shell=460, shell_mm=1.3, shell_texture=90),
    marrow=Tissue(-35, 20, 3.0, edge_mm=2.0),
    disc=Tissue(82, 8, 3.0),
    cartilage=Tissue(72, 8, 3.0),
    canal=Tissue(-60, 8, 2.0),
    sac=Tissue(16, 5, 2.0),
    bladder=Tissue(8, 2, 4.0, shell=34, shell_mm=2.8, rim=-95, rim_mm=0.8),
    ureter=Tissue(28),
    colon=Tissue(0, 75, 2.6, shell=38, shell_mm=2.4, rim=-100, rim_mm=0.8),
    bowel=Tissue(20, 10, 4.0, shell=44, shell_mm=2.0),
    gas=Tissue(-960, 8, 3.0, edge_mm=1.4),
    cuff=Tissue(52, 8, 3.0),
    vagina=Tissue(46, 8, 2.5),
    mesentery=Tissue(25, 8, 2.0, edge_mm=1.2),
)
"""CT numbers in HU."""

PET = Palette(
    air=0.0,
    couch=Tissue(0.0),
    fat=Tissue(0.25, shell=0.4, shell_mm=2.0),
    visceral_fat=Tissue(0.3),
    muscle=Tissue(0.65, 0.06, 5.0),
    artery=Tissue(1.6),
    vein=Tissue(1.6),
    nerve=Tissue(0.8),
    lesion=Tissue(5.6),
    hip=Tissue(1.1, 0.1, 4.0),
    femur=Tissue(0.8, 0.1, 4.0),
    shaft=Tissue(0.4),
    head=Tissue(0.7),
    streak=Tissue(0.5),
    vertebra=Tissue(1.5, 0.15, 4.0),
    sacrum=Tissue(1.2, 0.1, 4.0),
    marrow=Tissue(0.4),
    disc=Tissue(0.6),
    cartilage=Tissue(0.6),
    canal=Tissue(0.6),
    sac=Tissue(0.5),
    bladder=Tissue(16.0, shell=3.0, shell_mm=2.0),
    ureter=Tissue(9.0),
    colon=Tissue(0.9, 0.4, 6.0, shell=1.6, shell_mm=2.5),
    bowel=Tissue(1.1, 0.3, 8.0, shell=1.7, shell_mm=2.0),
    gas=Tissue(0.3),
    cuff=Tissue(1.2),
    vagina=Tissue(1.0),
    mesentery=Tissue(1.0),
)
"""Standardised uptake values."""

MR = Palette(
    air=0.0,
    couch=Tissue(0.0),
    fat=Tissue(620, 18, 4.0, shell=260, shell_mm=1.6),
    visceral_fat=Tissue(560, 30, 3.0),
    muscle=Tissue(135, 12, 2.6),
    artery=Tissue(35, 5, 3.0),
    vein=Tissue(70, 12, 3.0),
    nerve=Tissue(235, 15, 2.0),
    lesion=Tissue(235, 15, 2.0),
    hip=Tissue(360, 35, 2.5, shell=25, shell_mm=1.6),
    femur=Tissue(400, 35, 2.5, shell=20, shell_mm=2.2),
    shaft=Tissue(25, 5, 2.0),
    head=Tissue(430, 25, 2.5, edge_mm=6.0),
    streak=Tissue(420, edge_mm=1.2),
    vertebra=Tissue(300, 30, 2.2, shell=40, shell_mm=1.2),
    sacrum=Tissue(330, 35, 2.2, shell=40, shell_mm=1.2),
    marrow=Tissue(480, 20, 3.0),
    disc=Tissue(300, 40, 4.0, shell=90, shell_mm=4.0),
    cartilage=Tissue(240, 15, 3.0),
    canal=Tissue(480, 15, 2.0),
    sac=Tissue(860, 30, 1.6),
    bladder=Tissue(930, 8, 5.0, shell=110, shell_mm=2.8),
    ureter=Tissue(500),
    colon=Tissue(240, 110, 3.0, shell=190, shell_mm=2.4),
    bowel=Tissue(520, 60, 5.0, shell=190, shell_mm=2.0),
    gas=Tissue(8, 2, 3.0),
    cuff=Tissue(190, 25, 3.0),
    vagina=Tissue(230, 30, 2.5),
    mesentery=Tissue(140, 20, 2.0),
)
"""Signal of a T2-weighted turbo spin echo."""
