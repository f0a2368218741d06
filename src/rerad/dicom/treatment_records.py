"""RT Beams Treatment Records: how much of a plan was given, fraction by fraction.

A fraction counts as whole when its monitor units come to those of the plan's beams within
`WHOLE_SHARE`, whether in one session or in several of the same fraction number. A fraction that
was broken off counts with its share: rerad scales fractions, and converts a broken one with its
own smaller dose.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom.uid import RTBeamsTreatmentRecordStorage

from rerad.dicom.files import guard_parser, read_dataset
from rerad.dicom.headers import count_of, items_of, number_of, text_of
from rerad.errors import DicomError

WHOLE_SHARE = 0.995
"""Monitor chambers and records round; less than half a per cent missing is none."""


@dataclass(frozen=True, slots=True)
class DeliveredFractions:
    """What records say was given of one plan.

    Parameters
    ----------
    plan_uid : str
        SOP Instance UID of the RTPLAN.
    n_whole : int
        Fractions given in full.
    partial : tuple of float
        Share of the monitor units of each fraction that was not, in order.
    """

    plan_uid: str
    n_whole: int
    partial: tuple[float, ...]


def read_treatment_records(
    paths: Sequence[Path], beam_metersets_mu: dict[int, float], plan_uid: str
) -> DeliveredFractions:
    """Read what was given of a plan.

    Parameters
    ----------
    paths : sequence of Path
        RT Beams Treatment Records; those of other plans are left aside.
    beam_metersets_mu : mapping of int to float
        Monitor units of each treatment beam in one fraction, from the RTPLAN.
    plan_uid : str
        Which plan.

    Raises
    ------
    DicomError
        If a file is no such record, none belongs to the plan, a record lacks what is needed, or
        more was given in a fraction than the plan holds.
    """
    planned = sum(beam_metersets_mu.values())
    if planned <= 0:
        msg = f"plan {plan_uid}: expected monitor units above 0 to compare records with, got none"
        raise DicomError(msg)
    given: dict[int, float] = defaultdict(float)
    of_beam: dict[tuple[int, int], float] = defaultdict(float)
    read: set[str] = set()
    for path in paths:
        uid, sessions = _sessions(Path(path), plan_uid)
        if uid in read:
            continue  # one object in two files is one record
        read.add(uid)
        for fraction, beam, meterset in sessions:
            if beam not in beam_metersets_mu:
                continue  # setup and imaging beams
            given[fraction] += meterset
            of_beam[fraction, beam] += meterset
    if not given:
        msg = f"expected treatment records of plan {plan_uid}, found none; give its records"
        raise DicomError(msg)
    shares = {fraction: total / planned for fraction, total in sorted(given.items())}
    for (fraction, beam), total in of_beam.items():
        share = total / beam_metersets_mu[beam] if beam_metersets_mu[beam] > 0 else 0.0
        if share > 2.0 - WHOLE_SHARE:
            msg = (
                f"fraction {fraction} of plan {plan_uid}: the records hold {100 * share:.1f} % of "
                f"the monitor units of beam {beam}; a record may be there twice, check them"
            )
            raise DicomError(msg)
    partial = tuple(share for share in shares.values() if 0 < share < WHOLE_SHARE)
    n_whole = sum(share >= WHOLE_SHARE for share in shares.values())
    return DeliveredFractions(plan_uid, n_whole, partial)


@guard_parser
def _sessions(path: Path, plan_uid: str) -> tuple[str, list[tuple[int, int, float]]]:
    """Return a record's UID and its fraction numbers, beam numbers and delivered monitor units."""
    dataset = read_dataset(path)
    if text_of(dataset, "SOPClassUID") != RTBeamsTreatmentRecordStorage:
        msg = (
            f"{path.name}: expected an RT Beams Treatment Record, got "
            f"{text_of(dataset, 'Modality') or 'an unknown modality'}; give the records"
        )
        raise DicomError(msg)
    plans = {
        text_of(i, "ReferencedSOPInstanceUID")
        for i in items_of(dataset, "ReferencedRTPlanSequence")
    }
    uid = text_of(dataset, "SOPInstanceUID") or str(path)
    if plan_uid not in plans:
        return uid, []
    found = []
    for item in items_of(dataset, "TreatmentSessionBeamSequence"):
        beam = count_of(item, "ReferencedBeamNumber", 0)
        fraction = count_of(item, "CurrentFractionNumber", 0)
        meterset = number_of(item, "DeliveredPrimaryMeterset")
        if meterset is None:
            steps = [
                number_of(step, "DeliveredMeterset")
                for step in items_of(item, "ControlPointDeliverySequence")
            ]
            meterset = max((value for value in steps if value is not None), default=None)
        if not beam or not fraction or meterset is None or meterset < 0:
            msg = (
                f"{path.name}: expected beam number, fraction number and delivered meterset, got "
                f"{beam or None}, {fraction or None} and {meterset}; export the record again"
            )
            raise DicomError(msg)
        found.append((fraction, beam, meterset))
    return uid, found
