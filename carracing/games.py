"""Many CarRacing environments in one process; a rank has one such batch."""

from typing import Any

from carracing.env import CarRacingGame
from rollouts.games import SeparateGames


class CarRacingGames(SeparateGames):
    """A fixed number of environments, numbered from 0; each plays as it would alone. `settings`: of `CarRacingGame`."""

    def __init__(self, count: int, **settings: Any) -> None:
        super().__init__(count, lambda: CarRacingGame(**settings))
