"""A task that needs neither TensorFlow nor an engine, and what the tests of the farm play on it; mpirun-able.

farm_world.py MODE [RANK]     play, or fail or dawdle on one rank; rank 0 prints the outcomes as JSON
"""

import itertools
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from commands import SCRIPTS

from controller.cast import Setup
from controller.rollouts import Rollout
from controller.task import Task
from doomrnn.scripted import TakeCoverScript
from vae.config import Settings, setting
from vae.errors import InputError, NumericalError
from vae.streams import Purpose

ROLLOUTS = 90
ERRORS = {kind.__name__: kind for kind in (RuntimeError, InputError, NumericalError)}
DAWDLE_SECONDS = 0.3  # of one step


@dataclass(frozen=True)
class CountingConfig(Settings):
    """Settings of the counting games."""

    time_limit: int = setting(400, "longest game", unit="steps", least=1)


class Steps(NamedTuple):
    """Results of one step."""

    observations: np.ndarray
    rewards: np.ndarray
    terminated: np.ndarray
    truncated: np.ndarray


class CountingGames:
    """Games that reward the action times a number of their own, and end when its seed says."""

    before_step = staticmethod(lambda: None)

    def __init__(self, count: int, config: CountingConfig, recording: bool = False):
        self._rngs, self._left = [None] * count, [0] * count

    def __len__(self) -> int:
        return len(self._left)

    def reset(self, index: int, seed: int) -> np.ndarray:
        """Begin the game of a seed."""
        self._rngs[index] = np.random.default_rng(seed)
        self._left[index] = int(self._rngs[index].integers(1, 200)) + 190 * (seed % 7 == 0)
        return np.zeros((64, 64, 3), np.uint8)

    def step(self, indices: Sequence[int], actions: np.ndarray) -> Steps:
        """Play one step."""
        self.before_step()
        rewards = np.array([a * self._rngs[i].normal() for i, a in zip(indices, actions[:, 0], strict=True)])
        for index in indices:
            self._left[index] -= 1
        over = np.array([self._left[index] == 0 for index in indices])
        return Steps(np.zeros((len(indices), 64, 64, 3), np.uint8), rewards, over, np.zeros(len(indices), bool))

    def close(self) -> None:
        """Nothing to close."""


TASK = Task(
    name="counting",
    presets={},
    action_size=1,
    bias=False,
    variant="z",
    world="real",
    score="return",
    games=CountingGames,
    policies=("random", "random_hold"),
    baselines=("random",),
    script=TakeCoverScript,
    collector=lambda config: TakeCoverScript("random_hold"),
    frame_bytes=1,
    episode_length=lambda env: 100,
    dream_env="",
    frames_per_second=1,
)
SETUP = Setup(CountingConfig(), games_per_rank=5)


def rollouts(count: int = ROLLOUTS) -> list[Rollout]:
    """Games of two scripts, by turns."""
    scripts = TakeCoverScript("random"), TakeCoverScript("random_hold")
    return [Rollout(n, "real", (3, int(Purpose.EVALUATE), n), scripts[n % 2]) for n in range(count)]


def act_up(mode: str, here: bool) -> None:
    """Make the games of one rank fail or dawdle, and the others' take their time meanwhile."""
    if mode == "dawdle" and here:
        CountingGames.before_step = staticmethod(lambda: time.sleep(DAWDLE_SECONDS))
    if mode in ERRORS:
        steps = itertools.count()

        def step() -> None:
            time.sleep(0.005)
            if here and next(steps) == 20:
                raise ERRORS[mode](f"this is rank {cli.rank()}")

        CountingGames.before_step = staticmethod(step)


def job(prepared: None, farm) -> None:
    """Play all rollouts twice over, and print what came of them in their order; rank 0 only."""
    started, counts = time.monotonic(), []
    for _ in range(2):
        outcomes = list(farm.play(rollouts()))
        counts.append(sorted((o.id, o.score.hex(), o.length) for o in outcomes))
    assert counts[0] == counts[1]
    print(json.dumps({"outcomes": counts[0], "seconds": time.monotonic() - started}), flush=True)


def main() -> None:
    """Take part."""
    mode, rank = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None
    comm = cli.world()
    act_up(mode, cli.rank() == rank)
    with cli.ending_well(comm):
        cli.on_farm(comm, TASK, lambda: (SETUP, None), job, tensorflow=False)


if __name__ == "__main__":
    sys.path.insert(0, str(SCRIPTS))
    import cli

    main()
