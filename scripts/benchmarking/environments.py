"""The baselines of our CarRacing: Gymnasium's own, and EnvPool's port of it.

Both get the benefit of the doubt: their observations stay 96 x 96, uncut, and Gymnasium's resets are not timed.
"""

import time
from typing import Any

import numpy as np
from benchmarking.workers import Job, Measure

from carracing.scripted import CarRacingScript

SIDE_BY_SIDE = 8  # games of EnvPool; more are not faster on one core (measured)


def actions(seed: int, steps: int) -> np.ndarray:
    """Return the wandering policy's actions [steps, 3]."""
    return CarRacingScript("brownian").actions(np.random.default_rng(seed), steps)


def gymnasium(job: Job) -> Measure:
    """Gymnasium's CarRacing-v3."""
    import gymnasium as library

    env = library.make("CarRacing-v3", disable_env_checker=True)

    def measure(number: int) -> dict[str, float]:
        env.reset(seed=number)
        steps, ended, start = 0, False, time.perf_counter()
        for action in actions(number, 1000):
            if ended or time.perf_counter() - start > job.seconds:
                break
            _, _, terminated, truncated, _ = env.step(action)
            steps, ended = steps + 1, terminated or truncated
        return {"rate": steps / (time.perf_counter() - start)}

    return measure


def envpool(job: Job) -> Measure:
    """EnvPool's CarRacing-v3, several environments on one thread; each resets itself when its episode ends."""
    import envpool as library

    env: Any = library.make("CarRacing-v3", env_type="gymnasium", num_envs=SIDE_BY_SIDE, num_threads=1)
    env.reset()
    wander = np.stack([actions(seed, 1000) for seed in range(SIDE_BY_SIDE)], axis=1)
    place = 0

    def step() -> None:
        nonlocal place
        env.step(wander[place % 1000])
        place += 1

    step()
    return lambda number: job.rates(step, SIDE_BY_SIDE)
