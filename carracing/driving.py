"""How a policy drives, beyond its return: steering, bends, spins, and whether a frame shows the car on the road.

The paper says that V alone drives with a wobble and misses sharp corners, and that the agent can drive inside its own
dream. Measures of an episode: `REVERSALS`, `SHARP`, `GENTLE` and `SPIN` from the game's own state (`MeasuredGames`),
`ROAD` from frames alone (`road_share`), which a dream has too. Source: definitions are ours.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from carracing.env import CarRacingGame
from carracing.games import CarRacingGames
from rollouts.games import Steps

REVERSALS = "reversals"  # of steering, per 100 steps
SHARP, GENTLE = "sharp_corners", "gentle_road"  # return from tiles in sharp corners, and from all others, of 100
SPIN = "spins"  # 1 where the car spun off the road, else 0
ROAD = "road"  # share of steps whose frame shows the car on the road
DEAD_ZONE = 0.1  # steering this small is neither left nor right
NEAR = 3  # tiles on either side of a tile over which its turn is measured
SHARP_TURN = 0.12  # radians per tile (of 3.5 units): a radius below 29 units, about four road widths
AGAINST = np.pi / 2  # heading this far off the road's, with all wheels beside it, is a spin
PATCH = slice(57, 61), slice(29, 33)  # rows, columns of a frame at the car's rear, in either view (measured)
LEAD = 60  # first steps of an episode, in which the camera zooms in
GREEN = 25.0  # levels by which grass is greener than it is red or blue


def reversals(steering: np.ndarray) -> float:
    """Return how often steering [T] in [-1, 1] changes side, per 100 steps; within `DEAD_ZONE` it has no side."""
    sides = np.sign(steering[np.abs(steering) > DEAD_ZONE])
    return 100.0 * float((sides[1:] != sides[:-1]).sum()) / len(steering)


def turns(headings: np.ndarray) -> np.ndarray:
    """Return how sharply a closed track turns at each tile, in radians per tile [N], from the tiles' headings [N]."""
    turned = np.roll(headings, -NEAR) - np.roll(headings, NEAR)
    return np.abs(np.angle(np.exp(1j * turned))) / (2 * NEAR)


def by_curvature(headings: np.ndarray, visited: np.ndarray) -> tuple[float, float]:
    """Return the shares of a track's tiles visited, in percent: (in sharp corners, elsewhere).

    headings [N] in radians; visited bool [N]. A track without sharp corners counts as 100 there: nothing was missed.
    """
    sharp = turns(headings) > SHARP_TURN
    shares = [100.0 * float(visited[chosen].mean()) if chosen.any() else 100.0 for chosen in (sharp, ~sharp)]
    return shares[0], shares[1]


def road_share(frames: np.ndarray) -> float:
    """Return the share of frames uint8 [T, 64, 64, 3] in which the road, not grass, lies under the car."""
    patch = frames[:, PATCH[0], PATCH[1]].astype(np.float32).mean(axis=(1, 2))
    greener = patch[:, 1] - np.maximum(patch[:, 0], patch[:, 2])
    return float((greener < GREEN).mean())


class MeasuredGames(CarRacingGames):
    """CarRacing environments that measure how they are driven: `measures` of each episode that has ended, by seed.

    Seeds are those that `reset` was given.
    """

    def __init__(self, count: int, **settings: Any) -> None:
        super().__init__(count, **settings)
        self.measures: dict[int, dict[str, float]] = {}
        self._under_way: dict[int, _Drive] = {}

    def reset(self, index: int, seed: int) -> np.ndarray:
        """See `CarRacingGames.reset`."""
        first = super().reset(index, seed)
        self._under_way[index] = _Drive(self._games[index], seed)
        return first

    def step(self, indices: Sequence[int], actions: np.ndarray) -> Steps:
        """See `CarRacingGames.step`."""
        steps = super().step(indices, actions)
        for row, index in enumerate(indices):
            drive = self._under_way[index]
            drive.note(actions[row], steps.observations[row])
            if steps.terminated[row] or steps.truncated[row]:
                self.measures[drive.seed] = drive.measured()
        return steps


class _Drive:
    """One episode under way."""

    def __init__(self, game: CarRacingGame, seed: int):
        self.game, self.seed, self.spun = game, seed, False
        self.steering: list[float] = []
        self.on_road: list[float] = []
        self.headings = np.array([tile[1] for tile in game.circuit.track])
        self.places = np.array([tile[2:4] for tile in game.circuit.track])

    def note(self, action: np.ndarray, frame: np.ndarray) -> None:
        """Remember one step: its action [3], and the frame uint8 [64, 64, 3] after it."""
        self.steering.append(float(action[0]))
        self.on_road.append(road_share(frame[None]))
        self.spun = self.spun or self._spins()

    def _spins(self) -> bool:
        """Return whether all wheels are beside the road and the car looks across it or back."""
        car = self.game.circuit.car
        if any(wheel.tiles for wheel in car.wheels):
            return False
        nearest = int(np.argmin(((self.places - np.array(car.hull.position)) ** 2).sum(axis=1)))
        off = np.angle(np.exp(1j * (car.hull.angle - self.headings[nearest])))
        return bool(abs(off) > AGAINST)

    def measured(self) -> dict[str, float]:
        """Return the episode's measures."""
        visited = np.array([tile.road_visited for tile in self.game.circuit.road])
        sharp, gentle = by_curvature(self.headings, visited)
        return {
            REVERSALS: reversals(np.array(self.steering)),
            SHARP: sharp,
            GENTLE: gentle,
            SPIN: float(self.spun),
            ROAD: float(np.mean(self.on_road[LEAD:] or self.on_road)),
        }
