"""Random streams: every random number of a run comes from a counter-based generator with a named key.

A stream is keyed by ``[seed, purpose, ...]``, so two places never share numbers by accident, and a stream does not
depend on which process asks for it, nor on what was drawn elsewhere (source: ours).
"""

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a stream is for; the second word of its key. Values are part of the results: never renumber."""

    COLLECT = 1
    VAE = 2
    RNN = 3
    FITNESS = 4
    MEAN = 5
    EVALUATE = 6
    CMAES = 7
    SPLIT = 8
    VALIDATE = 9


def seed_sequence(seed: int, purpose: Purpose, *key: int) -> np.random.SeedSequence:
    """The `SeedSequence([seed, purpose, *key])`; all words must be non-negative."""
    return np.random.SeedSequence([seed, int(purpose), *key])


def stream(seed: int, purpose: Purpose, *key: int) -> np.random.Generator:
    """A Philox generator of its own for ``(seed, purpose, *key)``."""
    return np.random.Generator(np.random.Philox(seed_sequence(seed, purpose, *key)))


def engine_seed(seed: int, purpose: Purpose, *key: int) -> int:
    """A 31-bit seed for an external engine (a game), drawn from the stream's own key."""
    return int(seed_sequence(seed, purpose, *key).generate_state(1, np.uint32)[0] >> 1)
