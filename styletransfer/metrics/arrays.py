"""Take numbers as callers have them: NumPy arrays, nested lists, tensors. Free of torch."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from styletransfer.errors import MetricInputError, ShapeMismatch


def to_array(name: str, values: ArrayLike) -> NDArray[Any]:
    """Return real numbers as an array of their own precision; tensors lose their gradients.

    Raises:
        ShapeMismatch: rows of different lengths.
        MetricInputError: not real numbers.
    """
    given: Any = values
    if hasattr(given, "detach"):
        given = given.detach().cpu()
        if given.is_floating_point() and given.element_size() == 2:
            given = given.float()  # NumPy knows no bfloat16
        given = given.numpy()
    try:
        array = np.asarray(given)
    except ValueError as error:
        raise ShapeMismatch(f"{name}: rows of different lengths") from error
    if array.dtype.kind not in "fiu":
        raise MetricInputError(f"{name}: expected real numbers, got {array.dtype}")
    return array
