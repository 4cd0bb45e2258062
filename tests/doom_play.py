"""Games of take cover that tests compare frame by frame."""

import numpy as np

from doomrnn.env import TakeCoverGame


def actions(seed: int, steps: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, -(-steps // 8)).repeat(8)[:steps]


def play(game: TakeCoverGame, seed: int, steps: int) -> list[bytes]:
    """The frames of up to `steps` steps of game `seed`, the first one included."""
    frames = [game.reset(seed).tobytes()]
    for action in actions(seed, steps):
        observation, _, terminated, truncated = game.step(float(action))
        frames.append(observation.tobytes())
        if terminated or truncated:
            break
    return frames
