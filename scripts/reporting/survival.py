"""Survival in the dream beside the real task, as lines of text and rows of a table."""

from collections.abc import Iterable, Mapping, Sequence

from controller.evaluation import Evaluation, largest
from controller.survival import Hazard, distance, hazards, lives_to, same_rate, windows_within
from controller.verdicts import holm

WORLDS = ("dream", "real task")
Lengths = Mapping[str, tuple[Sequence[int], Sequence[int]]]  # by who: (in the dream, in the real task); may be empty


def both_worlds(evaluations: Iterable[Evaluation], temperature: float) -> dict[str, tuple[list[int], list[int]]]:
    """Return the lengths of everybody who played in the dream of a temperature and in the real task, agents first.

    Several evaluations of the same policy pool, but of one seed only the longest counts.
    """
    fitting = [e for e in evaluations if e.world == "real" or e.temperature == temperature]
    found: dict[str, tuple[list[int], list[int]]] = {}
    scripted = {e.who: e.controller is None for e in fitting}
    for (who, world, _), e in largest(fitting, lambda e: (e.who, e.world, e.seed)).items():
        found.setdefault(who, ([], []))[world == "real"].extend(e.lengths)
    return {who: found[who] for who in sorted(found, key=lambda who: (scripted[who], who)) if all(found[who])}


def hazard_rows(lengths: Lengths, limit: int) -> list[tuple[str, ...]]:
    """Return deaths per 100 steps by window and the share that reaches the limit, a row for each policy and world.

    The heads come first.
    """
    heads = ("deaths per 100 steps", "", *(f"{start}-{stop}" for start, stop in windows_within(limit)))
    rows = [
        (who, world, *map(_cell, hazards(found, limit)), f"{lives_to(found, limit):.0%}")
        for who, worlds in lengths.items()
        for world, found in zip(WORLDS, worlds, strict=True)
        if len(found)
    ]
    return [(*heads, f"reach {limit:,}"), *rows]


def warnings(lengths: Lengths, limit: int) -> list[str]:
    """Return a line for each policy that dies more or less often in the dream than in the real task in some window.

    One family: with 95 % no window of no policy is named where the two rates are equal (Holm's method).
    """
    windows = [
        (who, d, g)
        for who, (dream, real) in lengths.items()
        for d, g in zip(hazards(dream, limit), hazards(real, limit), strict=True)
    ]
    found: dict[str, list[str]] = {}
    differ = holm([same_rate(d, g) for _, d, g in windows])
    for (who, d, g), (rejected, _) in zip(windows, differ, strict=True):
        if rejected:
            found.setdefault(who, []).append(_wrong(d, g))
    return [f"warning: {who} in the dream: {'; '.join(wrong)}" for who, wrong in found.items()]


def apart(lengths: Lengths, limit: int) -> list[str]:
    """Return a line with the distance of the dream's hazards from the real task's, over all policies; none: no line."""
    found = distance([worlds for worlds in lengths.values() if all(map(len, worlds))], limit)
    return [f"distance of the dream's hazards from the real task's: {found:.2f} (0: alike)"] if found == found else []


def _wrong(dream: Hazard, game: Hazard) -> str:
    side = "too few" if dream.rate < game.rate else "too many"
    return f"{side} deaths in steps {dream.start}-{dream.stop} ({dream.rate:.3f} per 100, real task {game.rate:.3f})"


def _cell(hazard: Hazard) -> str:
    return f"{hazard.rate:.2f}" if hazard.steps else "-"
