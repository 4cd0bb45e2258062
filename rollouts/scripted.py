"""Policies that look at nothing: the honest baselines, the probes of a dream, and the policy that collects.

A scripted policy is a function of its random stream alone: all actions of a rollout are known before it starts. Each
task has its own.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from experiment.errors import InputError

BOX_SCRIPTS = ("random", "random_hold", "stay")


class Script(ABC):
    """A scripted policy.

    name: as the command line has it. period: steps a sweep holds each side, None for other scripts.
    """

    name: str
    period: int | None = None

    @property
    def label(self) -> str:
        """What tables and files call it: its name, with a sweep's period, or the longest hold where not the usual one.

        Two scripts of a task that play differently must not be called the same.
        """
        hold, usual = getattr(self, "max_hold", None), getattr(type(self), "max_hold", None)
        return f"{self.name}{hold if self.name == 'random_hold' and hold != usual else self.period or ''}"

    @abstractmethod
    def actions(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Return all actions float32 [steps, A] of one rollout."""


@dataclass(frozen=True)
class BoxScript(Script):
    """The scripted policies of a task that brings none of its own, in the box of its actions.

    random draws an action at each step; random_hold holds each draw for 1 to `max_hold` steps; stay is the middle of
    the box.

    low, high: of each number of an action. Raises InputError for an unknown name.
    """

    name: str
    low: tuple[float, ...] = (-1.0,)
    high: tuple[float, ...] = (1.0,)
    max_hold: int = 10

    def __post_init__(self) -> None:
        if self.name not in BOX_SCRIPTS:
            raise InputError(f"policy {self.name}: not one of {', '.join(BOX_SCRIPTS)}")

    def actions(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Return all actions float32 [steps, A] of one rollout."""
        low, high = np.float32(self.low), np.float32(self.high)
        if self.name == "stay":
            return np.tile((low + high) / 2, (steps, 1))
        drawn = rng.uniform(low, high, (steps, len(low))).astype(np.float32)
        if self.name == "random":
            return drawn
        return np.repeat(drawn, rng.integers(1, self.max_hold + 1, steps), axis=0)[:steps]
