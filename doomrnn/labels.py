"""Where monsters and fireballs are in an observation, by ViZDoom's labels buffer, and how well V keeps them.

A fireball covers a few of an observation's 4,096 pixels, so that V's error hardly tells whether it is kept; the error
of its pixels does. The engine draws the same frames with labels and without.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import vizdoom

from doomrnn.env import TakeCoverGame, observe
from doomrnn.games import TakeCoverGames

KINDS = {"monsters": "DoomImp", "fireballs": "DoomImpBall"}  # ViZDoom's names of them


class LabelledGame(TakeCoverGame):
    """Take cover that also tells what covers each pixel of its observation. Settings as of `TakeCoverGame`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._configure = functools.partial(_with_labels, self._configure)

    def coverage(self) -> np.ndarray:
        """Return the share of each pixel of the observation that each of `KINDS` covers, float32 [kinds, 64, 64]."""
        state = self._engine.get_state() if self._engine else None
        size = self.observation_size
        if state is None:
            return np.zeros((len(KINDS), size, size), np.float32)
        shares = []
        for name in KINDS.values():
            values = [label.value for label in state.labels if label.object_name == name]
            mask = np.isin(state.labels_buffer, values).astype(np.uint8) * 255
            shares.append(observe(np.repeat(mask[..., None], 3, axis=2), size)[..., 0] / np.float32(255))
        return np.stack(shares)


class LabelledGames(TakeCoverGames):
    """`TakeCoverGames` of one environment; `coverage` is of the observations of its latest episode, in order."""

    game = LabelledGame

    def __init__(self, **settings: Any) -> None:
        super().__init__(1, **settings)
        self.coverage: list[np.ndarray] = []

    def reset(self, index: int, seed: int) -> np.ndarray:
        """Reset the environment, and begin `coverage` anew."""
        observation = super().reset(index, seed)
        self.coverage = [self._games[0].coverage()]
        return observation

    def step(self, indices: Sequence[int], actions: Sequence[float]) -> Any:
        """Play one tic, and note what the observation shows."""
        steps = super().step(indices, actions)
        self.coverage.append(self._games[0].coverage())
        return steps


def covered_errors(frames: np.ndarray, reconstructions: np.ndarray, coverage: np.ndarray) -> dict[str, float]:
    """Return V's squared error by what a pixel shows.

    Args:
        frames: float [T, 64, 64, 3] in [0, 1]; reconstructions: the same, or one frame for all.
        coverage: float [T, kinds, 64, 64], see `LabelledGame.coverage`.
    Returns:
        "frames": how many. "frame": the squared error summed over a frame, their mean (what V's loss holds).
        "monsters", "fireballs": mean squared error of a pixel's channel, pixels weighted by what of them is covered;
        NaN where nothing is. "elsewhere": the same of what is neither. "monsters share" and so on: of all pixels.
    """
    squares = np.square(frames - reconstructions)
    pixels = squares.mean(axis=3)  # [T, 64, 64]
    weights = dict(zip(KINDS, np.moveaxis(coverage, 1, 0), strict=True))
    weights["elsewhere"] = np.clip(1 - coverage.sum(axis=1), 0, 1)
    found = {"frames": len(frames), "frame": float(squares.sum(axis=(1, 2, 3), dtype=np.float64).mean())}
    for name, weight in weights.items():
        total = float(weight.sum(dtype=np.float64))
        found[name] = float((weight * pixels).sum(dtype=np.float64)) / total if total else float("nan")
        found[f"{name} share"] = total / weight.size
    return found


def _with_labels(configure: Callable[[], vizdoom.DoomGame]) -> vizdoom.DoomGame:
    """Return an engine set up by `configure`, with its labels buffer."""
    game = configure()
    game.set_labels_buffer_enabled(True)
    return game
