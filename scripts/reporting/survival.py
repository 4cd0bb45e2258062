"""Survival in the dream beside the real task, as lines of text and rows of a table."""

from collections.abc import Mapping, Sequence

from controller.survival import Hazard, hazards, lives_to, outside, windows_within

Lengths = Mapping[str, tuple[Sequence[int], Sequence[int]]]  # by who: (in the dream, in the real task); may be empty


def hazard_rows(lengths: Lengths, limit: int) -> list[tuple[str, ...]]:
    """Return deaths per 100 steps by window and the share that reaches the limit, a row for each policy and world.

    The heads come first.
    """
    heads = ("deaths per 100 steps", "", *(f"{start}-{stop}" for start, stop in windows_within(limit)))
    rows = [
        (who, world, *map(_cell, hazards(found, limit)), f"{lives_to(found, limit):.0%}")
        for who, worlds in lengths.items()
        for world, found in zip(("dream", "real task"), worlds, strict=True)
        if len(found)
    ]
    return [(*heads, f"reach {limit:,}"), *rows]


def warnings(lengths: Lengths, limit: int) -> list[str]:
    """Return a line for each policy whose deaths in the dream lie outside the real task's interval in some window."""
    found = []
    for who, (dream, real) in lengths.items():
        wrong = outside(hazards(dream, limit), hazards(real, limit)) if len(dream) and len(real) else []
        if wrong:
            found.append(f"warning: {who} in the dream: {'; '.join(_wrong(d, g) for d, g in wrong)}")
    return found


def _wrong(dream: Hazard, game: Hazard) -> str:
    low, high = game.interval
    side = "too few" if dream.rate < low else "too many"
    return f"{side} deaths in steps {dream.start}-{dream.stop} ({dream.rate:.2f}, real task {low:.2f} to {high:.2f})"


def _cell(hazard: Hazard) -> str:
    return f"{hazard.rate:.2f}" if hazard.steps else "-"
