"""Add courses up, and take recovery off the earlier ones."""

from collections.abc import Sequence
from functools import reduce
from operator import add

from rerad.core import Dose, DoseQuantity, describe_quantity
from rerad.errors import InputError, QuantityMismatchError


def sum_doses(doses: Sequence[Dose]) -> Dose:
    """Add the equieffective doses of several courses on the same voxels.

    Parameters
    ----------
    doses : sequence of Dose
        EQD2 or BED of one alpha/beta, on one grid; at least one. A single physical dose is
        returned as it is.

    Returns
    -------
    Dose
        The sum; a voxel unknown in one course is unknown in the sum.

    Raises
    ------
    InputError
        If there is no dose.
    QuantityMismatchError
        If physical doses of several courses are offered, or quantities or alpha/beta differ.
    FrameMismatchError, GridMismatchError
        If the voxels differ.

    References
    ----------
    .. [1] Appelt et al. (2026), Radiother. Oncol. 214, 111313,
       doi:10.1016/j.radonc.2025.111313 (never quantitatively sum physical dose).
    """
    if not doses:
        msg = "expected at least one dose to add, got none"
        raise InputError(msg)
    if len(doses) > 1 and any(dose.quantity is DoseQuantity.PHYSICAL for dose in doses):
        msg = (
            f"expected EQD2 or BED of {len(doses)} courses, got physical dose: fractions of "
            "different size do not add; convert each with rerad.radiobiology.to_eqd2 on its own "
            "grid, then map, then add"
        )
        raise QuantityMismatchError(msg)
    return reduce(add, doses)


def discount(dose_eqd2: Dose, recovery_fraction: float) -> Dose:
    """Take recovery off an earlier course: multiply its EQD2 or BED by (1 - recovery).

    Parameters
    ----------
    dose_eqd2 : Dose
        EQD2 or BED of the earlier course. EQD2 is BED times a constant, so either may be
        discounted; a discounted physical dose would lower the dose per fraction as well.
    recovery_fraction : float
        Share taken as forgotten, 0 to 1.

    Returns
    -------
    Dose
        Same quantity; unknown stays unknown.

    Raises
    ------
    QuantityMismatchError
        If the dose is physical.
    InputError
        If the fraction is out of range.
    """
    if dose_eqd2.quantity is DoseQuantity.PHYSICAL:
        msg = (
            f"expected EQD2 or BED to discount, got {describe_quantity(dose_eqd2)}; convert it "
            "with rerad.radiobiology.to_eqd2 first"
        )
        raise QuantityMismatchError(msg)
    if not 0 <= recovery_fraction <= 1:
        msg = f"expected a recovery fraction of 0 to 1, got {recovery_fraction}"
        raise InputError(msg)
    return dose_eqd2.scaled(1.0 - recovery_fraction)
