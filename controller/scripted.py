"""Policies that look at nothing: the honest baselines, the probes of a dream, and the policy that collects.

A scripted policy is a function of its random stream alone: all actions of a rollout are known before it starts.
Source: authors' code for `random_hold`; `sweep` and the rest are ours.
"""

from typing import NamedTuple

import numpy as np

from vae.errors import InputError

SCRIPTS = ("random", "random_hold", "stay", "left", "right", "sweep")


class Script(NamedTuple):
    """A scripted policy of one action in [-1, 1].

    random draws anew each step; random_hold keeps a draw until the step number is a multiple of a repeat drawn with it
    from 1 to `max_hold`; stay, left and right are constant; sweep holds right, then left, `period` steps each.
    """

    name: str
    period: int = 120
    max_hold: int = 10

    def actions(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """All actions float32 [steps, 1] of one rollout; InputError for an unknown name or a period below 1."""
        if self.name == "random":
            return rng.uniform(-1, 1, (steps, 1)).astype(np.float32)
        if self.name == "random_hold":
            return random_hold(rng, steps, self.max_hold)
        if self.name in ("stay", "left", "right"):
            return np.full((steps, 1), {"stay": 0, "left": -1, "right": 1}[self.name], np.float32)
        if self.name == "sweep" and self.period >= 1:
            side = np.arange(steps) // self.period % 2
            return np.where(side == 0, 1, -1).astype(np.float32)[:, None]
        raise InputError(f"policy {self.name} (period {self.period}): not one of {', '.join(SCRIPTS)}")


def random_hold(rng: np.random.Generator, steps: int, max_hold: int) -> np.ndarray:
    """The authors' random policy: float32 [steps, 1].

    Whenever the step number is a multiple of the current repeat, a new action and a new repeat are drawn; with repeats
    up to 10 an action is held for 3.67 steps on average.
    """
    actions, repeat, action = np.empty((steps, 1), np.float32), 1, 0.0
    for step in range(steps):
        if step % repeat == 0:
            action, repeat = rng.uniform(-1, 1), int(rng.integers(1, max_hold + 1))
        actions[step] = action
    return actions
