"""Pendulum as the scripts see it."""

from typing import Any

from controller.task import Task
from pendulum.actions import MAX_TORQUE, squash
from pendulum.config import FRAMES_PER_SECOND, PendulumEnvConfig
from pendulum.presets import PRESETS
from pendulum.scripted import SCRIPTS, PendulumScript


def make_games(count: int, config: PendulumEnvConfig, recording: bool) -> Any:
    """Return a batch of games in this process; recorded ones are played like any other."""
    from pendulum.games import PendulumGames

    return PendulumGames(count, **vars(config))


TASK = Task(
    name="pendulum",
    presets=PRESETS,
    action_size=1,
    low=-MAX_TORQUE,
    high=MAX_TORQUE,
    bias=True,
    variant="zh",
    world="dream",
    score="return",
    games=make_games,
    policies=SCRIPTS,
    baselines=("random", "stay", "sweep"),
    script=PendulumScript,
    collector=lambda config: PendulumScript("random_hold", max_hold=config.max_hold),
    frame_bytes=300,
    episode_length=lambda env: env.time_limit,
    dream_env="WorldModels/PendulumDream-v0",
    engine=False,
    frames_per_second=FRAMES_PER_SECOND,
    squash=squash,
)
