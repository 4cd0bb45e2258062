"""Take cover as the scripts see it."""

from controller.task import PublishedRow, Task
from doomrnn.config import FRAMES_PER_SECOND, DoomEnvConfig
from doomrnn.presets import PRESETS
from doomrnn.scripted import SCRIPTS, TakeCoverScript
from rollouts.games import Games

PUBLISHED = (  # paper, table 2
    PublishedRow("paper, tau 0.10", "2086 ± 140", "193 ± 58"),
    PublishedRow("paper, tau 0.50", "2060 ± 277", "196 ± 50"),
    PublishedRow("paper, tau 1.00", "1145 ± 690", "868 ± 511"),
    PublishedRow("paper, tau 1.15", "918 ± 546", "1092 ± 556"),
    PublishedRow("paper, tau 1.30", "732 ± 269", "753 ± 139"),
    PublishedRow("paper, random policy", "", "210 ± 108"),
    PublishedRow("paper, gym leaderboard", "", "820 ± 58"),
)


def make_games(count: int, config: DoomEnvConfig, recording: bool) -> Games:
    """Return real games in this process; recorded ones are played like any other."""
    from doomrnn.games import TakeCoverGames

    return TakeCoverGames(count, **config.of_game())


TASK = Task(
    name="doomrnn",
    presets=PRESETS,
    action_size=1,
    bias=False,
    variant="zch",
    world="dream",
    score="steps survived",
    games=make_games,
    policies=SCRIPTS,
    baselines=("random", "random_hold", "sweep"),
    script=TakeCoverScript,
    collector=lambda config: TakeCoverScript("random_hold", max_hold=config.max_hold),
    frame_bytes=4700,
    episode_length=lambda env: min(330, env.time_limit),
    dream_env="WorldModels/DoomDream-v0",
    engine=True,
    frames_per_second=FRAMES_PER_SECOND,
    published=PUBLISHED,
)
