"""The dream of take cover as a Gymnasium environment.

    env = gymnasium.make("WorldModels/DoomDream-v0", run="runs/demo", temperature=1.15)

Observations are [z, c, h] (64 + 512 + 512 numbers), actions float32 [1] in [-1, 1].
"""

from pathlib import Path

import gymnasium
import numpy as np

from controller.dream_env import DreamEnv


class DoomDream(DreamEnv):
    """M dreaming take cover: reward 1 a step, terminated where M says that the player is dead.

    temperature: of the dream, above 0 (paper, table 2: 1.15 carries over best). For the rest see `DreamEnv`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 35}

    def __init__(
        self, run: str | Path, temperature: float = 1.15, time_limit: int = 2100, render_mode: str | None = None
    ) -> None:
        space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float32)
        super().__init__("doomrnn", run, space, temperature, time_limit, render_mode)
