"""Settings of the CarRacing environment and of its collecting."""

from dataclasses import dataclass

from experiment.config import setting
from experiment.errors import InputError
from rollouts.config import CollectConfig, EnvConfig
from vae.preprocessing import PREPROCESSES

RENDERERS = ("fast", "gymnasium")
VIEWS = ("v3", "v0")
COLLECTORS = ("habit", "brownian", "mixed")


@dataclass(frozen=True)
class CarRacingEnvConfig(EnvConfig):
    """Gymnasium's CarRacing-v3."""

    time_limit: int = setting(1000, "longest episode", unit="steps", source="paper, section 3.3", least=1)
    renderer: str = setting("fast", "who draws: ours, or Gymnasium's own at a fortieth of the speed", choices=RENDERERS)
    view: str = setting("v3", "what is drawn: Gymnasium's picture, or that of 2018 (fast renderer only)", choices=VIEWS)
    preprocess: str = setting("plain", "authors: as their V was fed, for their weights only", choices=PREPROCESSES)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.renderer == "gymnasium" and self.view != "v3":
            raise InputError(f"view={self.view!r}: Gymnasium draws 'v3' only; use renderer=fast")


@dataclass(frozen=True)
class CarRacingCollectConfig(CollectConfig):
    """Drives of the collecting policy, each of exactly `env.time_limit` frames."""

    policy: str = setting(
        "habit",
        "habit: the agent with random weights, drawn anew for each episode; brownian: actions of a random walk; "
        "mixed: either of them, drawn for each episode",
        source="authors' code",
        choices=COLLECTORS,
    )
