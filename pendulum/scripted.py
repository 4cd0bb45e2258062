"""The pendulum's scripted policies: torques that look at nothing."""

from dataclasses import dataclass

import numpy as np

from experiment.errors import InputError
from pendulum.actions import MAX_TORQUE
from rollouts.scripted import Script

CONSTANT = {"stay": 0.0, "left": MAX_TORQUE, "right": -MAX_TORQUE}  # a positive torque turns counterclockwise
SCRIPTS = ("random", "random_hold", *CONSTANT, "sweep")
SWEEP_PERIOD = 22  # steps; half a swing of small amplitude lasts 16 (pi * sqrt(2 l / 3 g) / dt), a large one longer


@dataclass(frozen=True)
class PendulumScript(Script):
    """One of `SCRIPTS`.

    random draws a torque from [-2, 2] at each step. random_hold draws an amplitude up to 2 for each episode and holds
    each torque drawn within it for 1 to `max_hold` steps, so that M sees the rod all but at rest too. stay applies no
    torque, left and right the largest one. sweep is the largest one to either side in turn, `period` steps each (22
    where none is given).

    Raises InputError for an unknown name, or a period below 1.
    """

    name: str
    period: int | None = None
    max_hold: int = 10

    def __post_init__(self) -> None:
        if self.name not in SCRIPTS or (self.period is not None and self.period < 1):
            raise InputError(f"policy {self.name} (period {self.period}): not one of {', '.join(SCRIPTS)}")
        object.__setattr__(self, "period", (self.period or SWEEP_PERIOD) if self.name == "sweep" else None)

    def actions(self, rng: np.random.Generator, steps: int) -> np.ndarray:
        """Return all actions float32 [steps, 1] of one rollout."""
        if self.name in CONSTANT:
            return np.full((steps, 1), CONSTANT[self.name], np.float32)
        if self.name == "sweep":
            side = np.arange(steps) // self.period % 2
            return np.where(side == 0, MAX_TORQUE, -MAX_TORQUE).astype(np.float32)[:, None]
        torques = rng.uniform(-MAX_TORQUE, MAX_TORQUE, (steps, 1)).astype(np.float32)
        if self.name == "random":
            return torques
        holds = rng.integers(1, self.max_hold + 1, steps)
        return np.float32(rng.random()) * np.repeat(torques, holds, axis=0)[:steps]
