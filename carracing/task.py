"""CarRacing as the scripts see it."""

from carracing.actions import squash
from carracing.config import FRAMES_PER_SECOND, CarRacingEnvConfig
from carracing.presets import PRESETS
from carracing.scripted import SCRIPTS, CarRacingScript
from controller.task import PublishedRow, Task
from rollouts.games import Games

PUBLISHED = (  # paper, table 1
    PublishedRow("paper, V and M (zh, 867)", "", "906 ± 21"),
    PublishedRow("paper, V only (z, 99)", "", "632 ± 251"),
    PublishedRow("paper, V only (z_hidden, 1,443)", "", "788 ± 141"),
    PublishedRow("paper, DQN", "", "343 ± 18"),
    PublishedRow("paper, A3C continuous", "", "591 ± 45"),
    PublishedRow("paper, A3C discrete", "", "652 ± 10"),
    PublishedRow("paper, gym leaderboard", "", "838 ± 11"),
)


def make_games(count: int, config: CarRacingEnvConfig, recording: bool) -> Games:
    """Return games in this process; recorded ones go on to the time limit whatever happens."""
    from carracing.games import CarRacingGames

    return CarRacingGames(count, **vars(config), endless=recording)


TASK = Task(
    name="carracing",
    presets=PRESETS,
    action_size=3,
    low=(-1.0, 0.0, 0.0),
    high=1.0,
    bias=True,
    variant="zh",
    world="real",
    score="return",
    games=make_games,
    policies=SCRIPTS,
    baselines=("random",),
    script=lambda name, period: CarRacingScript(name),
    collector=lambda config: CarRacingScript(config.policy),
    frame_bytes=1300,
    episode_length=lambda env: env.time_limit,
    dream_env="WorldModels/CarRacingDream-v0",
    engine=False,
    frames_per_second=FRAMES_PER_SECOND,
    squash=squash,
    published=PUBLISHED,
)
