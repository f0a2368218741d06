"""Read-only copies of arrays, so that a frozen object really is frozen."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray


def frozen_array(values: ArrayLike, dtype: DTypeLike) -> NDArray[Any]:
    """Return `values` as a read-only, C-contiguous array of `dtype`.

    An array that is already read-only, contiguous and of that type is kept as it is, because
    nobody can change it through the name it came by; everything else is copied once.

    Parameters
    ----------
    values : array_like
        Numbers to keep.
    dtype : dtype_like
        Element type of the result.

    Returns
    -------
    ndarray
        Array with ``flags.writeable`` false.
    """
    array = np.asarray(values)
    if array.dtype == np.dtype(dtype) and array.flags.c_contiguous and not array.flags.writeable:
        return array
    copy = np.array(array, dtype=dtype, order="C", copy=True)
    copy.setflags(write=False)
    return copy
