"""Every error that rerad raises.

::

    ReradError(Exception)
    ├── InputError(ValueError)            the caller broke the documented contract
    │   ├── GridMismatchError             same frame, different voxels: resample
    │   ├── FrameMismatchError            different frames: register
    │   └── QuantityMismatchError         physical, EQD2, BED, or another alpha/beta
    ├── MissingDataError(LookupError)     a number nobody supplied
    │   ├── StructureNotFoundError
    │   └── CourseNotFoundError
    ├── DicomError                        a file cannot be read or would not conform
    ├── CaseError                         a case file or case folder cannot be used
    ├── LedgerError                       the ledger refused: conflict, newer schema, edited record
    ├── DeliverabilityError               the machine cannot do this
    └── ComputationError(RuntimeError)    a method ran and failed
        ├── ConvergenceError
        └── RegistrationError

A message is one sentence: what was expected, what came, where, and what to do.
Errors are for stopping. What a clinician must weigh is a :class:`rerad.core.Finding`.
"""


class ReradError(Exception):
    """Base of all errors that rerad raises on purpose."""


class InputError(ReradError, ValueError):
    """An argument breaks the documented contract."""


class GridMismatchError(InputError):
    """Two objects share a frame of reference but not their voxels."""


class FrameMismatchError(InputError):
    """Two objects live in different frames of reference."""


class QuantityMismatchError(InputError):
    """Two doses are of different quantities, or EQD2 of different alpha/beta."""


class MissingDataError(ReradError, LookupError):
    """A number is needed that nobody supplied."""


class StructureNotFoundError(MissingDataError):
    """A structure is named that no structure set holds."""


class CourseNotFoundError(MissingDataError):
    """A course is named that the history does not hold."""


class DicomError(ReradError):
    """A DICOM object cannot be read, or what would be written does not conform."""


class CaseError(ReradError):
    """A case file or a case folder cannot be used as it is."""


class LedgerError(ReradError):
    """The ledger refused: a conflict, a newer schema, or a record that was edited."""


class DeliverabilityError(ReradError):
    """The machine cannot deliver what was asked."""


class ComputationError(ReradError, RuntimeError):
    """A method ran and failed."""


class ConvergenceError(ComputationError):
    """An iteration ended before its criterion was met."""


class RegistrationError(ComputationError):
    """A registration failed or is not good enough to be used."""
