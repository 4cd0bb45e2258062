"""From C's outputs to CarRacing's actions: steer, gas, brake."""

from typing import Any

import numpy as np


def squash(outputs: Any) -> Any:
    """Return C's outputs [B, 3] in [-1, 1] as steer in [-1, 1], gas and brake in [0, 1] (source: authors' code)."""
    from keras import ops

    steer, gas, brake = (outputs[..., i : i + 1] for i in range(3))
    return ops.concatenate([steer, (gas + 1) / 2, ops.clip(brake, 0, 1)], axis=-1)


def squash_array(outputs: np.ndarray) -> np.ndarray:
    """Return `squash` of float [B, 3] in NumPy, without loading Keras; float32 [B, 3]."""
    steer, gas, brake = outputs.T
    return np.stack([steer, (gas + 1) / 2, np.clip(brake, 0, 1)], axis=1).astype(np.float32)
