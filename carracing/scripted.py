"""CarRacing's scripted policies."""

from dataclasses import dataclass

import numpy as np

from carracing.actions import squash_array
from experiment.errors import InputError
from rollouts.scripted import Script

SCRIPTS = ("random", "habit", "brownian", "mixed", "stay")
HABIT_SCALE = 0.01  # authors' code: the largest scale of a habit's Cauchy weights
HABIT_INPUTS = 32  # authors' code: z, in effect standard normal noise
BROWNIAN_STEP = 0.15  # ours: standard deviation of a step, in units of C's outputs


@dataclass(frozen=True)
class CarRacingScript(Script):
    """One of `SCRIPTS`.

    random samples uniformly from the action space at each step. habit is the authors' collecting policy: the agent with
    random weights, Cauchy times a scale up to 0.01, sampled once per episode, whose V and M are inert in effect, so
    that it acts on fresh noise. brownian is a random walk of C's outputs within [-1, 1]. mixed is either of the two,
    chosen for each rollout. stay does nothing.

    Raises InputError for an unknown name.
    """

    name: str

    def __post_init__(self) -> None:
        if self.name not in SCRIPTS:
            raise InputError(f"policy {self.name}: not one of {', '.join(SCRIPTS)}")

    def actions(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Return all actions float32 [steps, 3] of one rollout."""
        if self.name == "stay":
            return np.zeros((steps, 3), np.float32)
        if self.name == "random":
            return rng.uniform((-1, 0, 0), 1, (steps, 3)).astype(np.float32)
        habit = rng.random() < 0.5 if self.name == "mixed" else self.name == "habit"
        return squash_array(_habit(rng, steps) if habit else _brownian(rng, steps))


def _habit(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Return tanh(W eps + b) [steps, 3] with one W and b, and fresh eps at each step."""
    weights = rng.standard_cauchy((HABIT_INPUTS + 1, 3)) * rng.uniform(0, HABIT_SCALE)
    return np.tanh(rng.standard_normal((steps, HABIT_INPUTS)) @ weights[1:] + weights[0])


def _brownian(rng: np.random.Generator, steps: int) -> np.ndarray:
    """Return a walk [steps, 3] in [-1, 1], folded back at the ends."""
    walk = np.cumsum(rng.normal(0, BROWNIAN_STEP, (steps, 3)), axis=0)
    return 1 - np.abs((walk + 1) % 4 - 2)
