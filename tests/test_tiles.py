"""Batches of any size in tiles: the same rows, bit for bit, whatever sizes of tile there are."""

import numpy as np
import pytest

from rollouts.tiles import Tiles

COUNTS = [1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 97, 139]


class Call:
    """Doubles its rows and remembers how many came; with `odd`, small and large tiles end in another last bit."""

    def __init__(self, odd: bool = False):
        self.sizes: list[int] = []
        self._odd = odd

    def __call__(self, arguments, more):
        self.sizes.append(len(more))
        doubled = {name: array * 2 for name, array in arguments.items()}
        if self._odd and not 16 <= len(more) <= 64:
            doubled["b"] = np.nextafter(doubled["b"], np.float32(9))
        return doubled, more.sum(1)


def rows(count: int):
    """Nested arguments of so many rows."""
    rng = np.random.default_rng(count)
    return {"a": rng.integers(0, 9, (count, 2)), "b": rng.random(count, np.float32)}, rng.random((count, 3))


@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("count", COUNTS)
def test_all_rows_come_back_as_full_tiles_give_them(count, odd):
    """Whatever the number of rows, and the first time as later, also where a smaller tile would round otherwise."""
    tiles = Tiles(Call(odd), 16, (4, 8), (64, 32, 128))
    for _ in range(3):
        (arguments, more), full = rows(count), Call()
        found, sums = tiles(arguments, more)
        expected, expected_sums = full(arguments, more)
        assert all(np.array_equal(found[name], expected[name]) for name in "ab") and np.array_equal(sums, expected_sums)
        assert found["a"].dtype == arguments["a"].dtype


def test_the_rows_left_over_take_the_smallest_tile_that_holds_them():
    """Each smaller size is tried beside a full tile once, then used alone."""
    call = Call()
    tiles = Tiles(call, 16, (4, 8))
    for count in (21, 21, 3, 16, 9):
        tiles(*rows(count))
    assert call.sizes == [16, 8, 16, 8, 16, 8, 4, 16, 4, 16, 16]


def test_a_size_that_rounds_otherwise_is_given_up():
    """It is tried once; from then on the next larger one that is alike is taken."""
    call = Call(odd=True)
    tiles = Tiles(call, 64, (4, 8, 32))
    for count in (3, 3, 3, 3):
        tiles(*rows(count))
    assert call.sizes == [4, 64, 8, 64, 32, 64, 32, 32, 32, 32]


def test_larger_tiles_take_what_fills_them():
    """The largest that is alike and full is taken first, the rest as before; each is tried once beside full tiles."""
    call = Call()
    tiles = Tiles(call, 16, (8,), (32, 64))
    tiles(*rows(117))
    assert call.sizes == [64, *[16] * 4, 64, 32, 16, 16, 32, 16, 8, 16, 8]
    call.sizes.clear()
    tiles(*rows(117))
    assert call.sizes == [64, 32, 16, 8]
    other = Call(odd=True)
    tiles = Tiles(other, 16, (), (128,))
    for _ in range(2):
        tiles(*rows(130))
    assert other.sizes == [128, *[16] * 8, *[16] * 18]
