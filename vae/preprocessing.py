"""What becomes of a frame before V sees it: averaged down to its size, and scaled as the authors do.

"plain": the crop, area-averaged. "stretched": the crop's own lowest to highest value stretched to 0..255 first, as
their resize of floats does. "authors": stretched, and the bytes wrapped (source: authors' code; the frames that they
published show both).
"""

from functools import lru_cache

import numpy as np

from experiment.arrays import FRAME_SHAPE

PREPROCESSES = ("plain", "stretched", "authors")


def contrast_table(lowest: int, highest: int) -> np.ndarray:
    """Return the bytes uint8 [256] that values 0..255 become when lowest..highest is stretched to 0..255.

    All are 0 where a frame has a single value. Source: `bytescale` of SciPy 1.0, which their resize called.
    """
    values = (np.arange(256) - lowest) * (255 / max(highest - lowest, 1))
    return np.floor(np.clip(values, 0, 255) + 0.5).astype(np.uint8)


def stretched(crop: np.ndarray) -> np.ndarray:
    """Return a crop uint8 [H, W, 3] with its lowest value, over all channels, at 0 and its highest at 255."""
    table = contrast_table(int(crop.min()), int(crop.max())).tobytes()
    stretched_bytes = crop.tobytes().translate(table)  # a third of the time of an index by the crop (measured)
    return np.frombuffer(stretched_bytes, np.uint8).reshape(crop.shape)


def wrapped(frame: np.ndarray) -> np.ndarray:
    """Return uint8 [64, 64, 3] as their (1 - x) * 255 on bytes leaves it: x - 1 modulo 256, so that black is white."""
    return frame - np.uint8(1)


def shrink(frame: np.ndarray) -> np.ndarray:
    """Return a frame uint8 [height, width, 3] area-averaged to what V sees, uint8 [64, 64, 3], halves rounded up."""
    height, width, channels = frame.shape
    rows = covered(height, FRAME_SHAPE[0]) @ frame.reshape(height, -1).astype(np.float64)
    columns = covered(width, FRAME_SHAPE[1]) @ rows.reshape(-1, width, channels)
    area = height * width
    return ((2 * columns.astype(np.int64) + area) // (2 * area)).astype(np.uint8)


@lru_cache(maxsize=8)
def covered(n_in: int, n_out: int) -> np.ndarray:
    """Return how much of each of `n_in` pixels lies in each of `n_out`, in parts of a pixel's n_out-th: whole numbers.

    float64 [n_out, n_in]; rows sum to n_in. Sums of bytes times them are exact, in whatever order they are made.
    """
    i, o = np.arange(n_in), np.arange(n_out)[:, None]
    overlap = np.minimum((o + 1) * n_in, (i + 1) * n_out) - np.maximum(o * n_in, i * n_out)
    return np.maximum(overlap, 0).astype(np.float64)
