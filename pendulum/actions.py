"""From C's output to the pendulum's action, a torque."""

from typing import Any

MAX_TORQUE = 2.0  # of Gymnasium's Pendulum-v1


def squash(outputs: Any) -> Any:
    """Return the torques [B, 1] in [-2, 2] of C's outputs [B, 1] in [-1, 1]."""
    return MAX_TORQUE * outputs
