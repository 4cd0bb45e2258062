"""Settings of the take cover environment and of its collecting."""

from dataclasses import dataclass

from experiment.config import setting
from rollouts.config import CollectConfig, EnvConfig
from vae.preprocessing import PREPROCESSES


@dataclass(frozen=True)
class DoomEnvConfig(EnvConfig):
    """The paper's take cover in ViZDoom."""

    skill: int = setting(
        4, "Doom's difficulty", source="measured: 5 is far harder than the paper's", choices=(1, 2, 3, 4, 5)
    )
    time_limit: int = setting(2100, "longest game", unit="steps", source="paper, section 4.1", least=1)
    start_time: int = setting(
        14, "engine tics before the first step", unit="tics", source="ViZDoom's scenario", least=1
    )
    width: int = setting(160, "width of the engine's screen", unit="pixels", choices=(160, 320, 640))
    preprocess: str = setting("plain", "authors: as their V was fed, for their weights only", choices=PREPROCESSES)


@dataclass(frozen=True)
class TakeCoverCollectConfig(CollectConfig):
    """Games of the authors' random policy (see `doomrnn.scripted.random_hold`)."""

    max_hold: int = setting(10, "longest repeat of a random action", unit="steps", source="authors' code", least=1)
