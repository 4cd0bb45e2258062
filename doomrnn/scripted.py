"""Take cover's scripted policies, of one action in [-1, 1]. Source: authors' code for `random_hold`, else ours."""

from dataclasses import dataclass

import numpy as np

from experiment.errors import InputError
from rollouts.scripted import Script

SIDES = {"stay": 0.0, "left": -1.0, "right": 1.0}
SCRIPTS = ("random", "random_hold", *SIDES, "sweep")
SWEEP_PERIOD = 120
MAX_HOLD = 10  # of the authors' policy


@dataclass(frozen=True)
class TakeCoverScript(Script):
    """One of `SCRIPTS`.

    random samples an action at each step; random_hold keeps it until the step number is a multiple of a repeat sampled
    with it from 1 to `max_hold`; stay, left and right are constant; sweep holds right, then left, `period` steps each
    (default 120, the best one measured).

    Raises InputError for an unknown name, or a period below 1.
    """

    name: str
    period: int | None = None
    max_hold: int = MAX_HOLD

    def __post_init__(self) -> None:
        if self.name not in SCRIPTS or (self.period is not None and self.period < 1):
            raise InputError(f"policy {self.name} (period {self.period}): not one of {', '.join(SCRIPTS)}")
        object.__setattr__(self, "period", (self.period or SWEEP_PERIOD) if self.name == "sweep" else None)

    def actions(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Return all actions float32 [steps, 1] of one rollout."""
        if self.name == "random":
            return rng.uniform(-1, 1, (steps, 1)).astype(np.float32)
        if self.name == "random_hold":
            return random_hold(rng, steps, self.max_hold)
        if self.name in SIDES:
            return np.full((steps, 1), SIDES[self.name], np.float32)
        side = np.arange(steps) // self.period % 2
        return np.where(side == 0, 1, -1).astype(np.float32)[:, None]


def random_hold(rng: np.random.Generator, steps: int, max_hold: int) -> np.ndarray:
    """Return the authors' random policy: float32 [steps, 1].

    Whenever the step number is a multiple of the current repeat, a new action and repeat are sampled; with repeats up
    to 10 an action is held for 3.67 steps on average.
    """
    actions, repeat, action = np.empty((steps, 1), np.float32), 1, 0.0
    for step in range(steps):
        if step % repeat == 0:
            action, repeat = rng.uniform(-1, 1), int(rng.integers(1, max_hold + 1))
        actions[step] = action
    return actions
