"""Dreams played in batches; each rank carries one such batch."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from experiment.errors import NumericalError
from rnn.dream import Dream, DreamState, Noise
from rollouts.rollout import BLOCK, Outcome, Rollout, advice_for_large_weights
from rollouts.scripted import Script
from rollouts.tiles import Tiles

ROWS = 64  # dreams of a tile: within a twentieth of the speed of 512 (measured)
MORE = 128, 256  # of a tile, where rounding is alike: a tenth faster than 64, with a small M up to twice (measured)
FEWER = 8, 16, 32, 48  # as a batch thins out; 16 dreams still go at 0.8 times the speed of 64 (measured)


class DreamPolicy(Protocol):
    """What acts in a dream: a function of flat weights [B, size], z [B, Z] and M's state c, h [B, H], in TensorFlow."""

    size: int

    def act(self, weights: Any, z: Any, c: Any, h: Any) -> Any:
        """Return the actions [B, A]."""


class DreamPlayer:
    """A batch of dreams, compacted as rollouts end and refilled as they come.

    A return is the sum of the rewards, that of the last step included, over at most `time_limit` steps.
    """

    def __init__(self, dream: Dream, policy: DreamPolicy | None, capacity: int, time_limit: int):
        self.dream, self.policy, self.capacity, self.time_limit = dream, policy, capacity, time_limit
        inputs = (BLOCK, dream.model.action_size) if policy is None else (policy.size,)
        self._block = dream.compile(self._act, inputs)
        self._tiles = Tiles(self._block, ROWS, FEWER, MORE)
        self._rollouts: list[Rollout] = []
        self._rngs: list[np.random.Generator] = []
        self._steps = np.zeros(0, np.int64)
        self._scores = np.zeros(0)
        self._inputs = np.zeros((0, 0), np.float32)
        self._state: DreamState | None = None

    def _act(self, inputs, z, c, h, step):
        """Return C's action from its weights, or the scripted one of this step from inputs [B, L, A]."""
        return inputs[:, step] if self.policy is None else self.policy.act(inputs, z, c, h)

    def live(self) -> int:
        """Return how many dreams are under way."""
        return len(self._rollouts)

    def room(self) -> int:
        """Return how many more fit."""
        return self.capacity - len(self._rollouts)

    def add(self, rollouts: Sequence[Rollout]) -> None:
        """Start dreams, each from its own stream."""
        if not rollouts:
            return
        rngs = [rollout.rng() for rollout in rollouts]
        starts = [self.dream.start(rng) for rng in rngs]
        state = DreamState(*(np.stack(part) for part in zip(*starts, strict=True)))
        inputs = np.stack([self._policy_inputs(r, g) for r, g in zip(rollouts, rngs, strict=True)])
        empty = self._state is None or not self._rollouts
        self._state = state if empty else DreamState(*(np.concatenate(p) for p in zip(self._state, state, strict=True)))
        self._inputs = inputs if empty else np.concatenate([self._inputs, inputs])
        self._steps = np.concatenate([self._steps, np.zeros(len(rollouts), np.int64)])
        self._scores = np.concatenate([self._scores, np.zeros(len(rollouts))])
        self._rollouts += rollouts
        self._rngs += rngs

    def _policy_inputs(self, rollout: Rollout, rng: np.random.Generator) -> np.ndarray:
        """Return flat weights [P], or all actions of a script [time_limit rounded up to blocks, A]."""
        if isinstance(rollout.policy, Script):
            return rollout.policy.actions(rng, -(-self.time_limit // BLOCK) * BLOCK)
        return rollout.policy

    def drop(self, ids: set[int]) -> None:
        """Forget dreams."""
        self._keep(np.array([rollout.id not in ids for rollout in self._rollouts], bool))

    def advance(self) -> list[Outcome]:
        """Dream a block; NumericalError where a z is no longer a number."""
        noise = Noise.empty(len(self._rollouts), BLOCK, self._state.z.shape[1])
        for row, rng in enumerate(self._rngs):
            self.dream.fill_noise(rng, *(part[row] for part in noise))
        self._state, lived, rewards = self._tiles(self._state, self._block_inputs(), noise)
        return self._ended(lived, rewards)

    def _block_inputs(self) -> np.ndarray:
        if self.policy is not None:
            return self._inputs
        return np.stack([row[step : step + BLOCK] for row, step in zip(self._inputs, self._steps, strict=True)])

    def _ended(self, lived: np.ndarray, rewards: np.ndarray) -> list[Outcome]:
        """Return the outcomes of rows that died or reached the limit in this block; the others stay."""
        lengths = np.minimum(self._steps + np.minimum(lived, BLOCK), self.time_limit)
        counts = np.arange(BLOCK) < (lengths - self._steps)[:, None]
        self._scores = self._scores + np.sum(rewards, axis=1, where=counts, dtype=np.float64)
        over = (lived <= BLOCK) | (self._steps + BLOCK >= self.time_limit)
        self._check(~np.isfinite(self._state.z).all(1) & (lived > BLOCK))
        ended = [Outcome(self._rollouts[i].id, float(self._scores[i]), int(lengths[i])) for i in np.flatnonzero(over)]
        self._steps = self._steps + BLOCK
        self._keep(~over)
        return ended

    def _check(self, bad: np.ndarray) -> None:
        for row in np.flatnonzero(bad):
            stream, step = self._rollouts[row].stream, int(self._steps[row])
            advice = (advice_for_large_weights(self._inputs[row]) if self.policy is not None else "") or "train M again"
            where = f"rollout {stream} after step {step}"
            raise NumericalError(f"dream: z or the done logit is NaN or infinite in {where}; {advice}")

    def _keep(self, kept: np.ndarray) -> None:
        """Compact the batch to the rows of a mask."""
        if kept.all() or self._state is None:
            return
        self._rollouts = [r for r, k in zip(self._rollouts, kept, strict=True) if k]
        self._rngs = [r for r, k in zip(self._rngs, kept, strict=True) if k]
        self._steps, self._scores, self._inputs = self._steps[kept], self._scores[kept], self._inputs[kept]
        self._state = DreamState(*(part[kept] for part in self._state))
