"""The dream of CarRacing as a Gymnasium environment: the agent acts inside M (paper, section 3.4).

    env = gymnasium.make("WorldModels/CarRacingDream-v0", run="runs/car", temperature=0.7)

Observations are [z, c, h] (32 + 256 + 256 numbers), actions float32 [3]: steer in [-1, 1], gas and brake in [0, 1].
"""

from pathlib import Path

import gymnasium

from carracing.env import HIGH, LOW
from controller.dream_env import DreamEnv


class CarRacingDream(DreamEnv):
    """M dreaming CarRacing; it never ends but by `time_limit`.

    temperature: of the dream, above 0 (authors' code: 0.7). The reward is what M expects, where it has a reward head.
    For the rest see `DreamEnv`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 50}

    def __init__(
        self, run: str | Path, temperature: float = 0.7, time_limit: int = 1200, render_mode: str | None = None
    ) -> None:
        super().__init__(run, gymnasium.spaces.Box(LOW, HIGH), temperature, time_limit, render_mode)
