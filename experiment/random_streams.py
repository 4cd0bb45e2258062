"""Random streams: every random number of a run comes from a counter-based generator with a named key.

A stream's key is ``[seed, words of its purpose, counters]``. Streams of two purposes never share numbers (a test proves
it), and a stream depends neither on which process asks for it nor on what was drawn elsewhere (source: ours).
"""

from enum import Enum, unique
from typing import NamedTuple

import numpy as np


@unique
class Purpose(Enum):
    """What a stream is for: the first words of its key, and the names of the counters that follow them.

    The words are part of every published result: never change one, and give a new purpose words of its own.
    """

    COLLECT = (1,), ("attempt",)  # a recorded episode: its engine and its policy
    VAE_WEIGHTS = (2,), ()
    VAE_EPISODE_ORDER = (2, 1), ("epoch",)
    VAE_FRAME_CHOICE = (2, 2), ("epoch", "episode")
    VAE_FRAME_ORDER = (2, 3), ("epoch", "first_episode")  # within a chunk, named by its first episode
    VAE_HELD_OUT_FRAMES = (2, 4), ("episode",)
    VAE_NOISE = (2, 5), ("update",)
    VAE_VALIDATION_NOISE = (2, 6), ()
    RNN_WEIGHTS = (3,), ()
    RNN_EPISODE_ORDER = (3, 1), ("epoch",)
    RNN_LATENTS = (3, 2), ("epoch", "batch")
    FITNESS = (4,), ("generation", "candidate", "rollout")
    MEAN = (5,), ("rollout",)  # scores of the search's mean in the world it is trained in
    BOOTSTRAP = (6, 0), ()
    EVALUATE = (6, 1), ("episode",)
    LOADED_AGENT = (6, 2), ()
    REPORT_AGENT = (6, 3), ()
    REPORT_SCRIPT = (6, 4), ("number",)
    CMA_ES = (7,), ()
    SPLIT = (8,), ()  # which episodes are held out
    VALIDATE = (9,), ("rollout",)  # scores of the search's mean in the real task, when it is trained in the dream

    def __init__(self, words: tuple[int, ...], counters: tuple[str, ...]) -> None:
        self.words, self.counters = words, counters

    def stream(self, seed: int, **counters: int) -> "Stream":
        """Return the stream of a run's seed and this purpose's counters, each a number from 0 on.

        Raises ValueError where a counter is missing, unknown or negative, or the seed is negative or no whole number.
        """
        if set(counters) != set(self.counters):
            raise ValueError(f"stream {self.name} takes the counters {self.counters}, not {tuple(counters)}")
        if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
            raise ValueError(f"a seed must be a whole number, not {seed!r}")
        if seed < 0 or any(value < 0 for value in counters.values()):
            raise ValueError(f"stream {self.name}: seed {seed} and {counters} must not be negative")
        return Stream(int(seed), self, tuple(int(counters[name]) for name in self.counters))


class Stream(NamedTuple):
    """One random stream of a run. Make it with `Purpose.stream`, which names the counters."""

    seed: int
    purpose: Purpose
    counters: tuple[int, ...] = ()

    def __str__(self) -> str:
        counted = [f"{name} {value}" for name, value in zip(self.purpose.counters, self.counters, strict=True)]
        return f"({', '.join([self.purpose.name, *counted, f'seed {self.seed}'])})"

    @property
    def words(self) -> tuple[int, ...]:
        """The whole key."""
        return (self.seed, *self.purpose.words, *self.counters)

    def generator(self) -> np.random.Generator:
        """Return a Philox generator at the start of the stream."""
        return np.random.Generator(np.random.Philox(np.random.SeedSequence(self.words)))

    def initial_weights_seed(self) -> int:
        """Return a 32-bit seed for a network's initial weights, drawn from the stream's key."""
        return int(np.random.SeedSequence(self.words).generate_state(1)[0])

    def engine_seed(self) -> int:
        """Return a 31-bit seed for an external engine (ViZDoom, Box2D), drawn from the stream's key."""
        return self.initial_weights_seed() >> 1
