"""Frames averaged down and scaled as the authors do: by hand, by OpenCV, and held to what they published."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from published import REFERENCE, published

from carracing.env import CarRacingGame
from doomrnn.env import TakeCoverGame, observe
from vae.preprocessing import contrast_table, shrink, stretched, wrapped

# CarRacing's field and its lighter squares as the authors' V was fed them: a white kerb in view, or none
WITH_KERB, WITHOUT = {(101, 203, 101), (101, 228, 101)}, {(113, 226, 113), (113, 254, 113)}
# Doom's floor: the most frequent grey without a fireball in view, and with one
CLEAR, FIREBALL = range(93, 97), range(78, 81)


def colors(frame: np.ndarray) -> list[tuple[int, ...]]:
    """The colours of a frame uint8 [64, 64, 3], the most frequent first."""
    return [color for color, _ in Counter(map(tuple, frame.reshape(-1, 3).tolist())).most_common()]


def reference(name: str) -> np.ndarray:
    """A published frame uint8 [64, 64, 3], RGB."""
    import cv2

    return cv2.imread(str(Path(REFERENCE, "frames", f"{name}.png")))[..., ::-1]


def test_averaging_by_hand_and_by_opencv():
    """128 to 64 is the mean of four pixels, halves upwards; 3 rows make 2; others as OpenCV, to a grey level."""
    import cv2

    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (128, 128, 3), np.uint8)
    assert np.array_equal(shrink(frame), (frame.reshape(64, 2, 64, 2, 3).astype(int).sum((1, 3)) + 2) // 4)
    stripes = np.zeros((96, 64, 3), np.uint8)
    stripes[0] = 91
    assert shrink(stripes)[:2, 5, 1].tolist() == [61, 0]  # 60 2/3
    stripes[0], stripes[1] = 1, 1
    assert shrink(stripes)[:2, 5, 1].tolist() == [1, 0]  # 1 and 1/3
    for size in ((96, 96), (400, 600), (65, 640)):
        frame = rng.integers(0, 256, (*size, 3), np.uint8)
        theirs = cv2.resize(frame, (64, 64), interpolation=cv2.INTER_AREA)
        assert np.abs(shrink(frame).astype(int) - theirs).max() <= 1
    assert np.array_equal(shrink(frame[:64, :64]), frame[:64, :64])


def test_contrast_by_hand():
    """0..229 becomes 0..255, rounded to the nearest; a frame of one value becomes black."""
    table = contrast_table(0, 229)
    assert table[[0, 102, 105, 107, 204, 229]].tolist() == [0, 114, 117, 119, 227, 255]
    assert contrast_table(10, 20)[[0, 10, 15, 20, 255]].tolist() == [0, 0, 128, 255, 255]
    assert stretched(np.full((2, 2, 3), 7, np.uint8)).max() == 0
    assert stretched(np.array([[[5, 6, 7]]], np.uint8)).tolist() == [[[0, 128, 255]]]


def test_black_turns_white():
    """By hand: less one, modulo 256."""
    assert wrapped(np.array([0, 1, 128, 255], np.uint8)).tolist() == [255, 0, 127, 254]


def test_the_crop_alone_is_stretched():
    """Doom's status bar, below the crop, has no say in the contrast of a frame."""
    screen = np.full((120, 160, 3), 50, np.uint8)
    screen[:10], screen[100:] = 100, 250
    frame = observe(screen, preprocess="stretched")
    assert frame[0, 0].tolist() == [255] * 3 and frame[-1, -1].tolist() == [0] * 3
    assert observe(screen, preprocess="authors")[-1, -1].tolist() == [255] * 3


@published
@pytest.mark.parametrize(("frame", "expected"), [(50, WITH_KERB), (200, WITHOUT), (400, WITHOUT), (500, WITH_KERB)])
def test_published_frames_of_carracing(frame, expected):
    """The constants above, which ours are held to below, are those of the published frames."""
    assert set(colors(reference(f"carracing_{frame:03}"))[:2]) == expected


@published
@pytest.mark.parametrize(("frame", "expected"), [(1, CLEAR), (100, CLEAR), (50, FIREBALL), (300, FIREBALL)])
def test_published_frames_of_doom(frame, expected):
    """The floor is darker while a fireball is in view."""
    assert colors(reference(f"doomrnn_{frame:03}"))[0][0] in expected


def test_carracing_is_fed_as_theirs_was():
    """Our frames of the view of 2018 have the field's colours of the published ones, with and without a kerb."""
    game, seen = CarRacingGame(view="v0", preprocess="authors"), []
    for seed in range(4):
        game.reset(seed)
        for step in range(130):
            frame = game.step(np.float32([0, 0.3, 0]))[0]
            if step > 60:  # the zoom of the first second is over
                seen.append(frozenset(colors(frame)[:2]))
    game.close()
    assert set(seen) >= {frozenset(WITH_KERB), frozenset(WITHOUT)}
    assert np.mean([pair in (WITH_KERB, WITHOUT) for pair in seen]) > 0.9


def test_doom_is_fed_as_theirs_was():
    """At 640x480 our floor has their grey, and the darker one where a fireball is in view."""
    game, floors = TakeCoverGame(width=640, height=480, preprocess="authors"), {True: [], False: []}
    game.reset(3)
    for _ in range(140):
        frame, _, terminated, _ = game.step(0.0)
        if terminated:
            break
        brightest, floor = game.screen[:400].max(), colors(frame)[0]
        if max(floor) - min(floor) < 5 and not 217 < brightest < 250:  # no red flash, and no fireball far away
            floors[bool(brightest >= 250)].append(floor[0])
    game.close()
    assert len(floors[True]) > 10 and len(floors[False]) > 10
    assert set(floors[False]) <= {*CLEAR} and set(floors[True]) <= {*FIREBALL}
