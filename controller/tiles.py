"""Batches of any size, computed in tiles of one fixed number of rows.

What a row comes to may depend on how many rows are computed with it: the kernels of a CPU without AVX-512 choose their
order of summation by the size of a product (measured). In a tile of a fixed size it depends neither on its place
nor on its neighbours. Tiles of 4, 16, 48, 64, 128, 256 and 512 rows do so on every CPU tried; those of 8 and 32 do not.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


def in_tiles(call: Callable[..., Any], rows: int, *arguments: Any) -> Any:
    """`call(*arguments)` for nested arrays [n, ...], n at least 1, computed `rows` rows at a time, as arrays [n, ...].

    The last tile is filled up with zeros.
    """
    count = len(tf.nest.flatten(arguments)[0])
    parts = []
    for first in range(0, count, rows):
        tile = tf.nest.map_structure(lambda array, first=first: _filled(array[first : first + rows], rows), arguments)
        parts.append(call(*tile))
    if len(parts) == 1:
        return tf.nest.map_structure(lambda part: np.asarray(part)[:count], parts[0])
    return tf.nest.map_structure(lambda *tiles: np.concatenate([np.asarray(t) for t in tiles])[:count], *parts)


def _filled(tile: np.ndarray, rows: int) -> np.ndarray:
    if len(tile) == rows:
        return tile
    return np.concatenate([tile, np.zeros((rows - len(tile), *tile.shape[1:]), tile.dtype)])
