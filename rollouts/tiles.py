"""Batches of any size, computed in tiles of a few fixed numbers of rows.

What a row comes to may depend on how many rows are computed with it: the kernels of a CPU without AVX-512 choose their
order of summation by the size of a product (measured). In a tile of a fixed size it depends neither on its place
nor on its neighbours, for tiles of 4, 16, 48, 64, 128, 256 and 512 rows on every CPU tried.

So the size of the full tile belongs to the results. A smaller one serves rows that do not fill it only where this CPU
is seen to compute its rows as a full tile does, bit for bit. That is tried once, on noise, so that every rank finds the
same. A batch that thins out so costs less, and comes to the same.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


class Tiles:
    """`call(*arguments)` for nested arrays [n, ...], n at least 1, as arrays [n, ...]; a pure function of each row.

    rows: of a full tile. smaller: other sizes that may be used, if they change nothing.
    """

    def __init__(self, call: Callable[..., Any], rows: int, smaller: tuple[int, ...] = ()):
        self._call, self._rows = call, rows
        self._smaller = sorted(smaller)
        self._tried: set[int] = set()

    def __call__(self, *arguments: Any) -> Any:
        """Return the results, computed tile by tile; a tile that is not full is filled up with zeros."""
        count = len(tf.nest.flatten(arguments)[0])
        parts = []
        for first in range(0, count, self._rows):
            part = slice(first, min(first + self._rows, count))
            parts.append(self._tile(_each(arguments, lambda array, part=part: array[part]), part.stop - first))
        return parts[0] if len(parts) == 1 else tf.nest.map_structure(lambda *tiles: np.concatenate(tiles), *parts)

    def size(self, arguments: Any, count: int) -> int:
        """Return the rows of the tile that computes `count` rows, at most a full tile's, of such arguments."""
        size = next((size for size in self._smaller if size >= count), self._rows)
        if size < self._rows and size not in self._tried:
            self._try(arguments, size)
            return self.size(arguments, count)
        return size

    def _tile(self, arguments: Any, count: int) -> Any:
        """Return the results of at most a full tile's rows."""
        size = self.size(arguments, count)
        results = self._call(*_each(arguments, lambda array: _filled(array, size)))
        return _each(results, lambda part: np.asarray(part)[:count])

    def _try(self, arguments: Any, size: int) -> None:
        """Use tiles of this size from now on, or never."""
        rng = np.random.default_rng(size)
        rows = _each(arguments, lambda array: _noise(rng, (size, *array.shape[1:]), array.dtype))
        results, full = self._call(*rows), self._call(*_each(rows, lambda array: _filled(array, self._rows)))
        pairs = zip(tf.nest.flatten(results), tf.nest.flatten(full), strict=True)
        if all(np.asarray(ours).tobytes() == np.asarray(part)[:size].tobytes() for ours, part in pairs):
            self._tried.add(size)
        else:
            self._smaller.remove(size)


def _each(nested: Any, change: Callable[[Any], Any]) -> Any:
    return tf.nest.map_structure(change, nested)


def _noise(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Return numbers of the size that latents, states, weights and pixels have."""
    return rng.integers(0, 256, shape, dtype) if dtype.kind in "iu" else rng.normal(0, 0.3, shape).astype(dtype)


def _filled(array: np.ndarray, size: int) -> np.ndarray:
    """Return the rows, and zeros up to a size."""
    if len(array) == size:
        return array
    return np.concatenate([array, np.zeros((size - len(array), *array.shape[1:]), array.dtype)])
