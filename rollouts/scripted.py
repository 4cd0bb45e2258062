"""Policies that look at nothing: the honest baselines, the probes of a dream, and the policy that collects.

A scripted policy is a function of its random stream alone: all actions of a rollout are known before it starts. Each
task has its own.
"""

from abc import ABC, abstractmethod

import numpy as np


class Script(ABC):
    """A scripted policy.

    name: as the command line has it. period: steps a sweep holds each side, None for other scripts.
    """

    name: str
    period: int | None = None

    @property
    def label(self) -> str:
        """What tables call it: its name, with the period of a sweep."""
        return f"{self.name}{self.period or ''}"

    @abstractmethod
    def actions(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """All actions float32 [steps, A] of one rollout."""
