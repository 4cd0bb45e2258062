"""Settings of the take cover environment and of its collecting."""

from dataclasses import dataclass
from typing import Any

from experiment.config import setting
from rollouts.config import LONGEST, CollectConfig, EnvConfig
from vae.preprocessing import PREPROCESSES

FRAMES_PER_SECOND = 35  # tics of Doom


@dataclass(frozen=True)
class DoomEnvConfig(EnvConfig):
    """Take cover in ViZDoom, as in the paper."""

    skill: int = setting(4, "skill level; at 5 random play scores far below the paper's", choices=(1, 2, 3, 4, 5))
    time_limit: int = setting(2100, "longest episode", unit="steps", source="paper, section 4.1", least=1, most=LONGEST)
    start_time: int = setting(
        14, "engine time before the first observation", unit="tics", source="ViZDoom's scenario", least=1, most=100_000
    )
    width: int = setting(
        160, "width of the rendered screen, pixels (height: 3/4 of it)", choices=(160, 320, 640), seen=True
    )
    preprocess: str = setting(
        "plain", "pixels as rendered, contrast-stretched, or the authors'", choices=PREPROCESSES, seen=True
    )

    def of_game(self) -> dict[str, Any]:
        """Return the settings of a `doomrnn.env.TakeCoverGame`."""
        return {**vars(self), "height": self.width * 3 // 4}


@dataclass(frozen=True)
class TakeCoverCollectConfig(CollectConfig):
    """Collecting episodes. The policy is the authors' random one, `doomrnn.scripted.random_hold`."""

    max_hold: int = setting(10, "longest repeat of a random action", unit="steps", source="authors' code", least=1)
