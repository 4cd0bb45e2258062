"""Arrays that come from a user's own code: exactly what is wanted, or one ValueError that names what was found.

A frame that was scaled, or an action in another range, would be played all the same, and badly.
"""

from typing import Any

import numpy as np

FRAME_SHAPE = (64, 64, 3)  # of what V sees: rows, columns, channels


def checked_frame(name: str, frame: Any) -> np.ndarray:
    """Return `frame`, which must be an array uint8 [64, 64, 3]; ValueError naming what it is."""
    if isinstance(frame, np.ndarray) and frame.dtype == np.uint8 and frame.shape == FRAME_SHAPE:
        return frame
    raise ValueError(f"{name} must be an array uint8 [64, 64, 3], not {described(frame)}{_hint(frame)}")


def _hint(frame: Any) -> str:
    """Return what was probably meant, as the end of a message."""
    shape = np.shape(frame) if isinstance(frame, np.ndarray) else ()
    if shape == FRAME_SHAPE:
        return "; pass it as the environment gives it, in 0 to 255"
    if shape[1:] == FRAME_SHAPE:
        return "; pass one frame at a time, without a batch axis"
    if shape == (3, 64, 64):
        return "; channels come last"
    if shape[:2] == FRAME_SHAPE[:2]:
        return "; it has three channels, red, green and blue"
    return ""


def checked_numbers(
    name: str, value: Any, shape: tuple[int, ...], low: float | None = None, high: float | None = None
) -> np.ndarray:
    """Return `value` as float32 of `shape`; ValueError where it is not such finite numbers [in [low, high]]."""
    bounds = "" if low is None else f" in [{low:g}, {high:g}]"
    try:
        numbers = np.asarray(value)
    except ValueError:  # a ragged list
        numbers = np.asarray(None)
    if numbers.dtype.kind in "fiu" and numbers.shape == shape:
        with np.errstate(over="ignore"):
            single = numbers.astype(np.float32)
        if np.isfinite(single).all() and (low is None or (low <= numbers.min() and numbers.max() <= high)):
            return single
        found = f"{described(value)} of {np.array2string(numbers, threshold=4, edgeitems=2)}"
    else:
        found = described(value)
    count = " x ".join(map(str, shape))
    raise ValueError(f"{name} must be {count} finite number{'s' * (shape != (1,))}{bounds}, not {found}")


def checked_whole(name: str, value: Any, low: int, high: int = 2**31 - 1) -> int:
    """Return `value` as an int; ValueError where it is not a whole number of the range."""
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
    return int(value)


def checked_options(options: Any, known: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the options of a `reset` as a dict; ValueError for one that nobody reads."""
    if options is None:
        return {}
    unknown = sorted(map(str, set(options) - set(known))) if isinstance(options, dict) else [described(options)]
    if unknown:
        there = f"only {', '.join(known)}" if known else "none"
        raise ValueError(f"options: {', '.join(unknown)} unknown; there are {there}")
    return options


def described(value: Any) -> str:
    """Return what an input is, in a few words: an array's dtype and shape, else its type."""
    if isinstance(value, np.ndarray | np.generic):
        return f"{value.dtype} {list(value.shape)}"
    text = repr(value)
    return f"{type(value).__name__} {text}" if len(text) < 40 and "\n" not in text else f"a {type(value).__name__}"
