"""Conformity and homogeneity of a target's dose."""

from rerad.errors import InputError
from rerad.evaluation.dvh import Dvh


def paddick_conformity_index(
    target_cc: float, prescription_isodose_cc: float, covered_target_cc: float
) -> float:
    r"""Return Paddick's conformity index, 1 for a perfect fit.

    .. math:: \mathrm{CI} = \frac{TV_{PIV}^2}{TV \cdot PIV}

    Parameters
    ----------
    target_cc : float
        Volume of the target, TV, above 0.
    prescription_isodose_cc : float
        Volume inside the prescription isodose, PIV, in and out of the target.
    covered_target_cc : float
        Part of the target inside it.

    Returns
    -------
    float
        0 to 1; 0 if nothing is covered.

    Raises
    ------
    InputError
        If the covered part is larger than the target or the isodose volume.

    References
    ----------
    .. [1] Paddick (2000), J. Neurosurg. 93 (Suppl. 3), 219,
       doi:10.3171/jns.2000.93.supplement_3.0219.
    """
    largest = min(target_cc, prescription_isodose_cc)
    if not (target_cc > 0 and 0 <= covered_target_cc <= largest * (1 + 1e-6)):
        msg = (
            "expected a target above 0 cc and a covered part no larger than target and isodose, "
            f"got {target_cc}, {prescription_isodose_cc} and {covered_target_cc} cc"
        )
        raise InputError(msg)
    if covered_target_cc == 0:
        return 0.0
    return covered_target_cc**2 / (target_cc * prescription_isodose_cc)


def homogeneity_index(dvh: Dvh) -> float:
    r"""Return the homogeneity index of ICRU Report 83, 0 for a uniform dose.

    .. math:: \mathrm{HI} = \frac{D_{2\%} - D_{98\%}}{D_{50\%}}

    Parameters
    ----------
    dvh : Dvh
        Of the target.

    Returns
    -------
    float
        NaN if the unknown part of the target could change it.

    References
    ----------
    .. [1] ICRU Report 83 (2010), J. ICRU 10 (1), section 3.7, doi:10.1093/jicru/ndq002.
    """
    near_max, median, near_min = (dvh.dose_at_volume(percent=p) for p in (2, 50, 98))
    return (near_max - near_min) / median if median > 0 else float("nan")
