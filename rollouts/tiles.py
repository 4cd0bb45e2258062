"""Batches of any size, computed in tiles of a few fixed numbers of rows.

What a row comes to may depend on how many rows are computed with it: the kernels of a CPU without AVX-512 choose their
order of summation by the size of a product (measured). In a tile of a fixed size it depends neither on its place
nor on its neighbours, for tiles of 4, 16, 48, 64, 128, 256 and 512 rows on every CPU tried, with one thread, as ranks
have. Several cut V's first convolution in the middle of a frame, and without AVX-512 the 2 of 16 frames there round
otherwise (measured).

So the size of the full tile belongs to the results. Larger ones, which are faster, and smaller ones for rows that do
not fill it are used only where this CPU is seen to compute their rows as a full tile does, bit for bit. Each is tried
once, on noise, so that every rank finds the same. A batch that thins out so costs less, and gives the same results.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf


class Tiles:
    """`call(*arguments)` for nested arrays [n, ...], n at least 1, as arrays [n, ...]; a pure function of each row.

    rows: of a full tile. smaller, larger: other sizes that may be used, if they change nothing.
    """

    def __init__(
        self, call: Callable[..., Any], rows: int, smaller: tuple[int, ...] = (), larger: tuple[int, ...] = ()
    ):
        self._call, self._rows = call, rows
        self._smaller, self._larger = sorted(smaller), sorted(larger, reverse=True)
        self._alike: dict[int, bool] = {}

    def __call__(self, *arguments: Any) -> Any:
        """Return the results, computed tile by tile; a tile that is not full is filled up with zeros."""
        count, first, parts = len(tf.nest.flatten(arguments)[0]), 0, []
        while first < count:
            size = self.size(arguments, count - first)
            stop = min(first + size, count)
            tile = _each(arguments, lambda array, part=slice(first, stop), size=size: _filled(array[part], size))
            parts.append(_each(self._call(*tile), lambda part, rows=stop - first: np.asarray(part)[:rows]))
            first = stop
        return parts[0] if len(parts) == 1 else tf.nest.map_structure(lambda *tiles: np.concatenate(tiles), *parts)

    def size(self, arguments: Any, count: int) -> int:
        """Return the size of the first tile of `count` rows of such arguments."""
        fitting = [size for size in self._larger if size <= count]
        if count < self._rows:
            fitting = [size for size in self._smaller if size >= count]
        return next((size for size in fitting if self._as_full(arguments, size)), self._rows)

    def _as_full(self, arguments: Any, size: int) -> bool:
        """Return whether a tile of this size computes its rows as full ones do; tried once."""
        if size not in self._alike:
            rng, whole = np.random.default_rng(size), -(-size // self._rows) * self._rows
            rows = _each(arguments, lambda array: _noise(rng, (size, *array.shape[1:]), array.dtype))
            padded = _each(rows, lambda array: _filled(array, whole))
            found, expected = self._call(*rows), []
            for first in range(0, whole, self._rows):
                tile = _each(padded, lambda array, part=slice(first, first + self._rows): array[part])
                expected.append(tf.nest.flatten(self._call(*tile)))
            pairs = zip(tf.nest.flatten(found), zip(*expected, strict=True), strict=True)
            self._alike[size] = all(
                np.asarray(ours).tobytes() == np.concatenate([np.asarray(tile) for tile in full])[:size].tobytes()
                for ours, full in pairs
            )
        return self._alike[size]


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
