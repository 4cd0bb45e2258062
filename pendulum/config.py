"""Settings of the pendulum and of its collecting."""

from dataclasses import dataclass

from experiment.config import setting
from rollouts.config import LONGEST, CollectConfig, EnvConfig

FRAMES_PER_SECOND = 20  # Gymnasium's: steps of 1/20 s
STARTS = ("hanging", "random")
FRAME_VIEWS = ("close", "whole")
FRAME_PALETTES = ("grey", "gymnasium")


@dataclass(frozen=True)
class PendulumEnvConfig(EnvConfig):
    """Gymnasium's Pendulum-v1, seen as frames."""

    time_limit: int = setting(
        200, "longest episode", unit="steps", source="Gymnasium's Pendulum-v1", least=1, most=LONGEST
    )
    start: str = setting(
        "hanging",
        "hanging: at rest; random: Gymnasium's own, any angle",
        source="paper, section 5",
        choices=STARTS,
    )
    view: str = setting("close", "the middle of Gymnasium's window, or the whole of it", choices=FRAME_VIEWS, seen=True)
    palette: str = setting("grey", "red rod on grey, or Gymnasium's colours", choices=FRAME_PALETTES, seen=True)


@dataclass(frozen=True)
class PendulumCollectConfig(CollectConfig):
    """Episodes of random torques, each held for a while."""

    max_hold: int = setting(4, "longest repeat of a random torque", unit="steps", source="ours", least=1)
