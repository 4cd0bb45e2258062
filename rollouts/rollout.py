"""What is played, what comes of it, and the batches that play it.

A `Player` keeps many rollouts alive at once: it is given more as others end, and never acts for one at a time.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from experiment.random_streams import Stream
from rollouts.scripted import Script

BLOCK = 16  # steps between two looks at which rollouts have ended; part of the results (noise is drawn in blocks)


WeightsOrScript = np.ndarray | Script  # flat weights float32 [P], or a script
Kind = tuple[str, bool]  # (world, whether the policy is a script)


class Rollout(NamedTuple):
    """One game or dream to play.

    id: its place among the results. world: "dream", "real", "record" (a real game whose episode is wanted), or
    "explore" (such a one in which the agent explores).
    stream: of all its random numbers, the engine's too. policy: flat weights float32 [P], or a Script.
    """

    id: int
    world: str
    stream: Stream
    policy: WeightsOrScript

    @property
    def kind(self) -> Kind:
        """Which player plays it: (world, scripted)."""
        return self.world, not isinstance(self.policy, np.ndarray)  # asking for Script takes ten times as long

    def rng(self) -> np.random.Generator:
        """Return the start of its own stream."""
        return self.stream.generator()


LARGEST_WEIGHT = 1e6  # a product of larger ones with z may overflow, whatever V and M say


def advice_for_large_weights(weights: np.ndarray) -> str:
    """Return what to do about flat weights [P] that no V and M could act with; nothing for others."""
    largest = float(np.abs(weights).max())
    if largest < LARGEST_WEIGHT:
        return ""
    return f"its C has weights up to {largest:.1g}; train one with a smaller controller.sigma_init"


LARGEST_RETURN = 1e12  # beyond it a return is taken for damage where it is read, and so refused where it is played


def wrong_return(score: float) -> str:
    """Return a return that no file may hold in words, with what to do about it; nothing for any other."""
    if abs(score) < LARGEST_RETURN:
        return ""
    return f"{score:g} (the most is {LARGEST_RETURN:g}: scale the reward)" if math.isfinite(score) else f"{score}"


class Outcome(NamedTuple):
    """What came of a rollout: its return, its length in steps, and (world "record") its episode file."""

    id: int
    score: float
    length: int
    episode: bytes | None = None


class Player(Protocol):
    """A live batch of rollouts of one kind."""

    def live(self) -> int:
        """Return how many rollouts are under way."""

    def room(self) -> int:
        """Return how many more it can take."""

    def add(self, rollouts: Sequence[Rollout]) -> None:
        """Start rollouts."""

    def drop(self, ids: set[int]) -> None:
        """Forget rollouts that somebody else has finished."""

    def advance(self) -> list[Outcome]:
        """Play on for a block and return what ended in it."""


class PlayerFactory(Protocol):
    """Makes the players of a job; the same on every rank."""

    def capacity(self, kind: Kind) -> int:
        """Return how many rollouts of a kind a rank keeps alive at once."""

    def make(self, kind: Kind) -> Player:
        """Return a player of this kind."""
