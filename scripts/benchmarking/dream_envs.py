"""The released dream as others train in it: Gymnasium's environments, one or many, with random actions."""

from collections.abc import Callable

import numpy as np
from benchmarking.dreams import RELEASE
from benchmarking.workers import Job, Measure

from doomrnn.dream import DoomDream, DoomDreams


def environment(job: Job) -> Measure:
    """As many dreams as the variant says, resets included: `DoomDream` for one, else `DoomDreams`."""
    count = int(job.variant)
    step = one() if count == 1 else many(count)

    def measure(number: int) -> dict[str, float]:
        return job.rates(step, count)

    step()
    return measure


def one() -> Callable[[], None]:
    """Return a step of one environment, which begins anew when it is over."""
    env, actions = DoomDream(RELEASE), iter(lambda: np.float32([rng.uniform(-1, 1)]), None)
    rng = np.random.default_rng(0)
    env.reset(seed=0)

    def step() -> None:
        *_, terminated, truncated, _ = env.step(next(actions))
        if terminated or truncated:
            env.reset()

    return step


def many(count: int) -> Callable[[], None]:
    """Return a step of so many dreams side by side."""
    envs, rng = DoomDreams(count, RELEASE), np.random.default_rng(0)
    envs.reset(seed=0)
    return lambda: envs.step(rng.uniform(-1, 1, (count, 1)).astype(np.float32))
