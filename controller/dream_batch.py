"""A fixed number of dreams side by side, one compiled call a step: what the dreams' environments run on.

Letters: N dreams, Z, H, A as elsewhere, S = Z + 2 H (z, c and h side by side). Weights and compiled functions are
loaded once in a process, for all its environments.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import tensorflow as tf

from experiment.errors import NumericalError
from rnn.dream import Dream, Noise
from rnn.series import InitialLatents
from rnn.training import load_rnn
from rollouts.dream_player import ROWS
from rollouts.rollout import BLOCK
from rollouts.tiles import Tiles
from vae.model import to_uint8
from vae.training import load_vae

FEWER = 2, 4, 8, 16, 32, 48  # dreams that do not fill a tile of ROWS, where this CPU computes their rows alike

_shared: WeakValueDictionary[tuple, Any] = WeakValueDictionary()  # until the last environment has let go


class CompiledDream:
    """M of a run at a temperature, its step compiled, for one dream alone or for many."""

    def __init__(self, run: Path, initial: InitialLatents, temperature: float, death_weight: float | None, alone: bool):
        self.rnn = _once(run / "rnn", lambda: load_rnn(run / "rnn"))
        self.dream = Dream(self.rnn, initial, temperature, death_weight)
        self.step = self.dream.compile_step(alone)


class Decoder:
    """V's decoder of a run, compiled."""

    def __init__(self, run: Path):
        vae = load_vae(run / "vae")
        traced = tf.function(vae.decode, input_signature=[tf.TensorSpec((None, vae.z_size))], autograph=False)
        self._decode = traced.get_concrete_function()

    def __call__(self, z: np.ndarray) -> np.ndarray:
        """Return V's frames uint8 [N, 64, 64, 3] of z [N, Z]."""
        return to_uint8(self._decode(tf.constant(z)))


def decoder(run: Path) -> Decoder:
    """Return V's decoder of a run, the same for all who ask in this process."""
    return _once(run / "vae", lambda: Decoder(run))


class DreamBatch:
    """N dreams, each begun and stepped on random numbers of its own; none depends on the others.

    Two and more are bit-identical whatever N; a lone one is the same but for rounding. death_weight: see `Dream`.

    Raises:
        InputError: M is missing or damaged, or TensorFlow cannot run in this forked process.
    """

    def __init__(
        self, run: Path, initial: InitialLatents, temperature: float, count: int, death_weight: float | None = None
    ):
        said = temperature, death_weight, count == 1
        key = *said, initial.mu.tobytes(), initial.logvar.tobytes()
        self._compiled = _once(run / "rnn", lambda: CompiledDream(run, initial, *said), *key)
        self.dream, self._process = self._compiled.dream, os.getpid()
        z_size, hidden, action = self.dream.model.z_size, self.dream.model.hidden_size, self.dream.model.action_size
        widths = [z_size + 2 * hidden, 1, action, z_size, z_size, 1]
        self._tiles = _tiles(self._compiled.step, count, sum(widths))
        self._rows = np.zeros((self._tiles[-1].stop, sum(widths)), np.float32)  # what the compiled step is given
        parts = np.split(self._rows[:count], np.cumsum(widths)[:-1], axis=1)
        self.state, self._restart, self._actions, self._uniforms, self._normals, self._deaths = parts  # views
        self._noise = Noise.empty(count, BLOCK, z_size)
        self._steps = np.zeros(count, np.int64)
        self._rngs: list[np.random.Generator | None] = [None] * count

    def begin(self, row: int, rng: np.random.Generator, z: np.ndarray | None = None) -> None:
        """Begin a dream at the z of a stored first frame, or at `z` [Z]; all its random numbers come from `rng`."""
        start = self.dream.start(rng)
        self.state[row] = np.concatenate([start.z if z is None else z, start.c, start.h])
        self._restart[row], self._steps[row], self._rngs[row] = start.restart, 0, rng

    def step(self, rows: Sequence[int], actions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Dream one step of the dreams named with actions [n, A]: their rewards float32 [n], and done bool [n].

        Raises:
            NumericalError: a z is no longer a number.
            RuntimeError: the process was forked since the dreams were made.
        """
        if os.getpid() != self._process:
            raise RuntimeError("this dream belongs to the process that this one was forked from: make another here")
        whole = len(rows) == len(self.state)
        chosen = slice(None) if whole else rows  # slices are faster
        waiting = np.zeros(0, np.int64) if whole else np.setdiff1d(np.arange(len(self.state)), rows)
        kept = self.state[waiting]
        self._actions[chosen] = actions
        self._draw(rows)
        rewards, done = self._advance()
        self.state[waiting] = kept
        self._restart[chosen] = 0.0
        self._steps[chosen] += 1
        if not np.isfinite(self.state).all():
            bad = int(np.flatnonzero(~np.isfinite(self.state).all(axis=1))[0])
            raise NumericalError(f"dream {bad}: NaN or infinite after step {self._steps[bad]}; train M again")
        return rewards[rows], done[rows]

    def _advance(self) -> tuple[np.ndarray, np.ndarray]:
        """Replace all states by those after the step; rewards [N] and done [N]."""
        results = [self._compiled.step(tf.constant(self._rows[tile])) for tile in self._tiles]
        state, rewards, done = (
            np.asarray(part[0]) if len(part) == 1 else np.concatenate(part) for part in zip(*results, strict=True)
        )
        self.state[:] = state[: len(self.state)]
        return rewards, done

    def _draw(self, rows: Sequence[int]) -> None:
        """Put the noise of the next step in place, generated a block at a time from each dream's own stream."""
        rows = np.asarray(rows)
        places = self._steps[rows] % BLOCK
        for row in rows[places == 0]:
            self.dream.fill_noise(self._rngs[row], *(part[row] for part in self._noise))
        now = (part[rows, places] for part in self._noise)
        self._uniforms[rows], self._normals[rows], self._deaths[rows, 0] = now


def _tiles(step: Callable[[tf.Tensor], Any], count: int, width: int) -> list[slice]:
    """Return the tiles that compute `count` rows of this width, the last one padded."""
    if count == 1:
        return [slice(0, 1)]
    full, rest = divmod(count, ROWS)
    tiles = [slice(ROWS * number, ROWS * (number + 1)) for number in range(full)]
    if rest:
        example = (np.zeros((1, width), np.float32),)
        size = Tiles(lambda rows: step(tf.constant(rows)), ROWS, FEWER).size(example, rest)
        tiles.append(slice(ROWS * full, ROWS * full + size))
    return tiles


def _once(folder: Path, make: Callable[[], Any], *key: Any) -> Any:
    """Return what `make` returns, made once in this process for the weights that are in `folder` now."""
    files = [(folder / name).stat() for name in ("weights.npz", "weights.json") if (folder / name).exists()]
    stamps = tuple((file.st_mtime_ns, file.st_size, file.st_ino) for file in files)
    key = (os.getpid(), folder.resolve(), stamps, *key)
    found = _shared.get(key)
    if found is None:
        found = _shared[key] = make()
    return found
