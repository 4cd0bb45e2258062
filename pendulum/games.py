"""Many pendulums in one process; a rank has one such batch."""

from typing import Any

from pendulum.env import PendulumGame
from rollouts.games import SeparateGames


class PendulumGames(SeparateGames):
    """A fixed number of games, numbered from 0; each plays as it would alone. `settings`: of `PendulumGame`."""

    def __init__(self, count: int, **settings: Any) -> None:
        super().__init__(count, lambda: PendulumGame(**settings))
