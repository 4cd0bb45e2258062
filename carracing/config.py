"""Settings of the CarRacing environment and of its collecting."""

from dataclasses import dataclass

from experiment.config import setting
from experiment.errors import InputError
from rollouts.config import LONGEST, CollectConfig, EnvConfig
from vae.preprocessing import PREPROCESSES

RENDERERS = ("fast", "gymnasium")
VIEWS = ("v3", "v0")
FRAMES_PER_SECOND = 50  # Gymnasium's
COLLECTORS = ("habit", "brownian", "mixed")


@dataclass(frozen=True)
class CarRacingEnvConfig(EnvConfig):
    """Gymnasium's CarRacing-v3."""

    time_limit: int = setting(1000, "longest episode", unit="steps", source="CarRacing-v0", least=1, most=LONGEST)
    renderer: str = setting("fast", "this project's fast renderer, or Gymnasium's own", choices=RENDERERS, seen=True)
    view: str = setting("v3", "view of CarRacing-v3, or of v0 (fast renderer only)", choices=VIEWS, seen=True)
    preprocess: str = setting(
        "plain", "pixels as rendered, contrast-stretched, or the authors'", choices=PREPROCESSES, seen=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.renderer == "gymnasium" and self.view != "v3":
            raise InputError(f"view={self.view!r}: Gymnasium renders 'v3' only; use renderer=fast")


@dataclass(frozen=True)
class CarRacingCollectConfig(CollectConfig):
    """Collecting episodes. Each has exactly `env.time_limit` frames."""

    policy: str = setting(
        "habit",
        "random-weight agent, random walk of actions, or either",
        source="authors' code",
        choices=COLLECTORS,
    )
