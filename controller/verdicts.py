"""From estimates to verdicts: shown, refuted, or undecided with what would decide it.

A claim says that a true value lies between two bounds (either may be infinite). It is shown where the data are
unlikely under every value outside, refuted where they are unlikely under every value inside, and undecided otherwise.
The levels of all claims of a list are corrected together by Holm's method, so that with 95 % not one of the verdicts
"shown" or "refuted" in it is wrong, whatever is true.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from controller.statistics import EPISODES, FEWEST_SEARCHES, Estimate

LEVEL = 0.05  # of a whole list
FEWEST = 100  # episodes
MARGIN = 0.2  # share of a published mean within which a row counts as reproduced
SHOWN, REFUTED, UNDECIDED = "shown", "refuted", "undecided"
ONE_SEARCH, UNMEASURED = "one search only", "not measured yet"
SMALLEST = 1e-9  # p
MOST_UNITS = {EPISODES: 1_000_000, "searches": 1_000}


class Question(Protocol):
    """What data can decide."""

    @property
    def p_shown(self) -> float:
        """One-sided p of "the claim is false"."""

    @property
    def p_refuted(self) -> float:
        """One-sided p of "the claim is true"."""

    def further(self, level: float) -> str:
        """Return what would decide it at a level, in words, if the estimates stayed as they are."""


@dataclass(frozen=True)
class Between:
    """Whether an estimate's true value lies above `low` and below `high`.

    Two finite bounds make it a test of equivalence (two one-sided tests, Schuirmann 1987).
    """

    estimate: Estimate
    low: float = -math.inf
    high: float = math.inf

    @property
    def p_shown(self) -> float:
        """The larger of the two one-sided p."""
        return max(self.estimate.p_above(self.low), self.estimate.p_below(self.high))

    @property
    def p_refuted(self) -> float:
        """The smaller p of lying beyond one of the bounds."""
        return min(self.estimate.p_below(self.low), self.estimate.p_above(self.high))

    def further(self, level: float) -> str:
        """Return how many more episodes or searches would decide it."""
        now, most = self.estimate, MOST_UNITS[self.estimate.unit]
        if self._decided(most, level):
            few, many = now.units, most
            while many - few > 1:
                middle = (few + many) // 2
                few, many = (few, middle) if self._decided(middle, level) else (middle, many)
            return f"needs {many - now.units:,} more {now.unit}{' of each' if now.of_each else ''}"
        if now.fixed:
            games = "" if now.unit == EPISODES else ", and the games that all of ours played,"
            verb = "is" if now.unit == EPISODES else "are"
            return f"no number of {now.unit} of ours alone would decide it: the published score{games} {verb} no surer"
        return f"needs more than {most:,} {now.unit}{' of each' if now.of_each else ''}"

    def _decided(self, units: int, level: float) -> bool:
        later = Between(self.estimate.with_units(units), self.low, self.high)
        return p_value(later) <= level


@dataclass(frozen=True)
class All:
    """Whether all of several questions are so, as an order of several means is."""

    parts: tuple[Between, ...]

    @property
    def p_shown(self) -> float:
        """The largest of theirs: each must be shown."""
        return max(part.p_shown for part in self.parts)

    @property
    def p_refuted(self) -> float:
        """The smallest of theirs, times their number."""
        return min(1.0, len(self.parts) * min(part.p_refuted for part in self.parts))

    def further(self, level: float) -> str:
        """Return what the least certain part needs."""
        return max(self.parts, key=lambda part: part.p_shown).further(level)


def p_value(question: Question) -> float:
    """Return the two-sided p of a question: twice the smaller one, so that either verdict is covered."""
    return min(1.0, 2 * min(question.p_shown, question.p_refuted))


def p_words(p: float) -> str:
    """Return a p in words; what lies below the smallest that these tests can be trusted with is not told apart."""
    return f"p = {p:.2g}" if p >= SMALLEST else f"p < {SMALLEST:.0e}"


def holm(ps: Sequence[float], level: float = LEVEL) -> list[tuple[bool, float]]:
    """Return for each p whether Holm's method rejects it, and the level that it had to meet.

    What comes after the first that fails has to meet the same level as that one.
    """
    found: list[tuple[bool, float]] = [(False, level)] * len(ps)
    rejecting, step = True, level
    for place, number in enumerate(sorted(range(len(ps)), key=lambda n: ps[n])):
        if rejecting:
            step = level / (len(ps) - place)
            rejecting = ps[number] <= step
        found[number] = (rejecting, step)
    return found


@dataclass(frozen=True)
class Verdict:
    """shown, refuted or undecided; what would decide it; its two-sided p, and the level that this had to meet."""

    outcome: str
    further: str
    p: float
    level: float


def outcome(question: Question, level: float = LEVEL) -> str:
    """Return the verdict of one question at a two-sided level."""
    if p_value(question) > level:
        return UNDECIDED
    return SHOWN if question.p_shown < question.p_refuted else REFUTED


def decide(
    questions: Sequence[Question], beside: Sequence[float] = (), level: float = LEVEL
) -> tuple[list[Verdict], list[bool]]:
    """Return the verdicts of a list of questions, and which of the two-sided p `beside` them are significant.

    All of them are one family: with 95 % not one of these statements is wrong.
    """
    found = holm([*map(p_value, questions), *beside], level)
    verdicts = []
    for question, (rejected, step) in zip(questions, found, strict=False):
        kind = outcome(question, step) if rejected else UNDECIDED
        further = "" if rejected else question.further(step)
        verdicts.append(Verdict(kind, further, p_value(question), step))
    return verdicts, [rejected for rejected, _ in found[len(questions) :]]


def enough(*counts: int) -> str:
    """Return why so many episodes of each side are too few for a verdict, or an empty string."""
    short = min(counts)
    return "" if short >= FEWEST else f"{short} of {FEWEST} episodes"


def enough_searches(*counts: int) -> str:
    """Return why so many searches of each side are too few for a verdict about a method, or an empty string."""
    short = min(counts)
    return "" if short >= FEWEST_SEARCHES else f"{short} of {FEWEST_SEARCHES} searches"
