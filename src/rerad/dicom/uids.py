"""New DICOM UIDs: every object that is written gets its own, never one that was read."""

from itertools import count

from pydicom.uid import generate_uid


class UidFactory:
    """Source of new UIDs, random or repeatable.

    Like a random generator it has a state of its own: with a seed, the n-th request for the same
    purpose always gives the same UID, so the same calls in the same order give the same files.

    Parameters
    ----------
    seed : str or None
        Text that the UIDs are derived from; None draws them at random. Two objects of different
        content must never share a UID, so the seed has to name everything that the content
        depends on.

    Examples
    --------
    >>> UidFactory("case 1").new("study") == UidFactory("case 1").new("study")
    True
    >>> uids = UidFactory("case 1")
    >>> uids.new("study") == uids.new("study")
    False
    """

    def __init__(self, seed: str | None = None) -> None:
        self._seed = seed
        self._count = count()

    def new(self, purpose: str) -> str:
        """Return a UID that this factory has not given before.

        Parameters
        ----------
        purpose : str
            What it is for, for example ``series`` or ``frame of reference``.
        """
        if self._seed is None:
            return str(generate_uid())
        return str(generate_uid(entropy_srcs=[self._seed, purpose, str(next(self._count))]))
