"""Lean body mass and body surface, over which the injected activity is thought to spread.

References
----------
.. [1] Janmahasatian et al. (2005), Clin. Pharmacokinet. 44, 1051,
   doi:10.2165/00003088-200544100-00004.
.. [2] James (1976), Research on obesity: a report of the DHSS/MRC group, HMSO, London; the
   factor for men is 128, as DICOM's LBMJAMES128 says (some programs use 120).
.. [3] Du Bois & Du Bois (1916), Arch. Intern. Med. 17, 863,
   doi:10.1001/archinte.1916.00080130010002.
"""

from rerad.errors import InputError, MissingDataError

CM_PER_M = 100.0
"""Centimetres in one metre."""

CM2_PER_M2 = 1e4
"""Square centimetres in one square metre."""

_JAMES = {"M": (1.10, 128.0), "F": (1.07, 148.0)}
_JANMAHASATIAN = {"M": (6680.0, 216.0), "F": (8780.0, 244.0)}


def body_mass_index(weight_kg: float, height_m: float) -> float:
    """Return weight over the square of height, in kg/m²."""
    return weight_kg / height_m**2


def lean_mass_janmahasatian_kg(weight_kg: float, height_m: float, sex: str) -> float:
    r"""Return lean body mass after Janmahasatian [1]_.

    .. math:: \mathrm{LBM} = \frac{9270\,W}{a + b\,\mathrm{BMI}}

    with (a, b) = (6680, 216) for men and (8780, 244) for women.

    Parameters
    ----------
    weight_kg, height_m : float
        Above 0.
    sex : str
        F or M.

    Returns
    -------
    float
        In kg.

    Raises
    ------
    MissingDataError
        If `sex` is neither F nor M.
    """
    a, b = _JANMAHASATIAN[_known_sex(sex)]
    return 9270.0 * weight_kg / (a + b * body_mass_index(weight_kg, height_m))


def lean_mass_james_kg(weight_kg: float, height_m: float, sex: str) -> float:
    r"""Return lean body mass after James [2]_.

    .. math:: \mathrm{LBM} = a\,W - b\,(W / H)^2

    with H in cm and (a, b) = (1.10, 128) for men and (1.07, 148) for women.

    Parameters
    ----------
    weight_kg, height_m : float
        Above 0.
    sex : str
        F or M.

    Returns
    -------
    float
        In kg.

    Raises
    ------
    MissingDataError
        If `sex` is neither F nor M.
    InputError
        If the formula gives nothing positive, as it does for extreme obesity.
    """
    a, b = _JAMES[_known_sex(sex)]
    lean_kg = a * weight_kg - b * (weight_kg / (height_m * CM_PER_M)) ** 2
    if lean_kg <= 0:
        msg = (
            f"expected a positive lean mass, James' formula gives {lean_kg:.1f} kg for "
            f"{weight_kg:g} kg and {height_m:g} m; use the one of Janmahasatian"
        )
        raise InputError(msg)
    return lean_kg


def james_turning_bmi(sex: str) -> float:
    """Return the body mass index above which James' lean mass falls while weight rises.

    The derivative of ``a W - b (W/H)²`` is zero at ``W/H² = a / (2 b)``.
    """
    a, b = _JAMES[_known_sex(sex)]
    return a / (2 * b) * CM2_PER_M2


def body_surface_m2(weight_kg: float, height_m: float) -> float:
    r"""Return body surface after Du Bois [3]_, :math:`0.007184\,W^{0.425} H^{0.725}`, H in cm.

    Parameters
    ----------
    weight_kg, height_m : float
        Above 0.

    Returns
    -------
    float
        In m².
    """
    return float(0.007184 * weight_kg**0.425 * (height_m * CM_PER_M) ** 0.725)


def _known_sex(sex: str) -> str:
    if sex not in _JAMES:
        msg = (
            f"lean body mass needs the patient's sex F or M, got {sex or 'nothing'}; supply it "
            "(--sex), or use SUV by body weight"
        )
        raise MissingDataError(msg)
    return sex
