"""CarRacing's scripted policies, and what turns C's outputs into its actions (steer, gas, brake)."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from controller.scripted import Script
from vae.errors import InputError

SCRIPTS = ("random", "habit", "brownian", "mixed", "stay")
HABIT_SCALE = 0.01  # authors' code: the largest scale of a habit's Cauchy weights
HABIT_INPUTS = 32  # authors' code: z, in effect standard normal noise
BROWNIAN_STEP = 0.15  # ours: standard deviation of a step, in units of C's outputs


def squash(outputs: Any) -> Any:
    """C's outputs [B, 3] in [-1, 1] as steer in [-1, 1], gas and brake in [0, 1] (source: authors' code)."""
    from keras import ops

    steer, gas, brake = (outputs[..., i : i + 1] for i in range(3))
    return ops.concatenate([steer, (gas + 1) / 2, ops.clip(brake, 0, 1)], axis=-1)


@dataclass(frozen=True)
class CarRacingScript(Script):
    """One of `SCRIPTS`.

    random draws uniformly from the action space at each step. habit is the authors' collecting policy: the agent with
    random weights, Cauchy times a scale up to 0.01, drawn anew for each episode, whose V and M are inert in effect, so
    that it acts on fresh noise. brownian lets each of C's outputs wander within [-1, 1]. mixed is either of the two, drawn
    for each rollout. stay does nothing.

    Raises InputError for an unknown name.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in SCRIPTS:
            raise InputError(f"policy {self.name}: not one of {', '.join(SCRIPTS)}")

    def actions(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """All actions float32 [steps, 3] of one rollout."""
        if self.name == "stay":
            return np.zeros((steps, 3), np.float32)
        if self.name == "random":
            return rng.uniform((-1, 0, 0), 1, (steps, 3)).astype(np.float32)
        habit = rng.random() < 0.5 if self.name == "mixed" else self.name == "habit"
        outputs = _habit(rng, steps) if habit else _brownian(rng, steps)
        steer, gas, brake = outputs.T
        return np.stack([steer, (gas + 1) / 2, np.clip(brake, 0, 1)], axis=1).astype(np.float32)


def _habit(rng: np.random.Generator, steps: int) -> np.ndarray:
    """tanh(W eps + b) [steps, 3] with one W and b, and fresh eps at each step."""
    weights = rng.standard_cauchy((HABIT_INPUTS + 1, 3)) * rng.uniform(0, HABIT_SCALE)
    return np.tanh(rng.standard_normal((steps, HABIT_INPUTS)) @ weights[1:] + weights[0])


def _brownian(rng: np.random.Generator, steps: int) -> np.ndarray:
    """A walk [steps, 3] in [-1, 1], folded back at the ends."""
    walk = np.cumsum(rng.normal(0, BROWNIAN_STEP, (steps, 3)), axis=0)
    return 1 - np.abs((walk + 1) % 4 - 2)
