"""Settings that every task has of its real environment, and those of collecting."""

from dataclasses import dataclass

from experiment.config import Settings, setting

LONGEST = 1_000_000  # steps of an episode, for which memory is set aside
MOST_GAMES = 1024  # games of a rank at once, each of which is an engine


class EnvConfig(Settings):
    """The real environment of a task. Each task declares the fields, `time_limit` among them, with values of its own.

    time_limit: steps after which an episode is truncated.
    """

    time_limit: int  # not a field: this class is no dataclass


@dataclass(frozen=True)
class CollectConfig(Settings):
    """Collecting episodes; each task adds what its own policy needs."""

    episodes: int = setting(10_000, "episodes to keep", unit="episodes", source="paper, section 4.2", least=2)
    minimum_length: int = setting(101, "shortest episode to keep", unit="steps", source="authors' code", least=1)
    games_per_rank: int = setting(1, "real episodes a rank plays at once", unit="episodes", least=1, most=MOST_GAMES)
