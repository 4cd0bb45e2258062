"""The authors' published data, which tests compare with where WORLD_MODELS_REFERENCE names their folder."""

import os
from pathlib import Path

import numpy as np
import pytest

REFERENCE = os.environ.get("WORLD_MODELS_REFERENCE")
published = pytest.mark.skipif(not REFERENCE, reason="WORLD_MODELS_REFERENCE is unset: no data of the authors")
NATS = 0.5474  # a dimension: the authors' M on `car_episode`, over 499 predictions from a zero state


def car_episode() -> tuple[np.ndarray, np.ndarray]:
    """z float32 [1, 500, 32] of CarRacing's episode, and actions [1, 499, 3] in place of its own, which are unknown."""
    z = np.load(Path(REFERENCE, "latents", "carracing_frames_1_500.npz"))["mu"][None]
    return z, np.tile(np.float32([0, 0.2, 0]), (1, 499, 1))
