"""V's weights between the authors' released files and ours.

The authors publish 22 arrays of integers in units of 1e-4: kernel and bias of four convolutions, mu, logvar, the
decoder's dense layer and four transposed convolutions, in this order and in our shapes.
"""

from collections.abc import Sequence

import numpy as np

from vae.model import VAE

UNIT = 1e-4


def vae_from_authors(arrays: Sequence[np.ndarray], z_size: int) -> VAE:
    """Return the authors' V as ours. Raises ValueError where the arrays do not fit z_size."""
    model = VAE(z_size)
    shapes, wanted = [np.shape(array) for array in arrays], [tuple(variable.shape) for variable in model.variables]
    if shapes != wanted:
        raise ValueError(f"shapes {shapes} do not fit V with Z = {z_size}: {wanted}")
    for variable, array in zip(model.variables, arrays, strict=True):
        variable.assign(np.asarray(array, np.float64) * UNIT)
    return model


def vae_to_authors(model: VAE) -> list[np.ndarray]:
    """Return our V as the authors publish theirs: int64 in units of 1e-4, rounded to the nearest."""
    return [to_units(np.asarray(variable)) for variable in model.variables]


def to_units(array: np.ndarray) -> np.ndarray:
    """Return numbers as the authors publish them: int64 in units of 1e-4, rounded to the nearest."""
    return np.rint(np.asarray(array, np.float64) / UNIT).astype(np.int64)
