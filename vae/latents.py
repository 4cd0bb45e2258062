"""Drawing z from V's posterior, in one place for NumPy and TensorFlow."""

from collections.abc import Callable
from typing import Any

import numpy as np

Tensor = Any


def sample_z(mu: Tensor, logvar: Tensor, eps: Tensor, exp: Callable[[Tensor], Tensor] = np.exp) -> Tensor:
    """Return z = mu + exp(logvar / 2) * eps, all [..., Z], for standard normals eps (paper, appendix A.1).

    exp: of the library whose arrays these are. NumPy's and TensorFlow's differ in the last bit, so that results are
    made with one of them throughout.
    """
    return mu + exp(0.5 * logvar) * eps
