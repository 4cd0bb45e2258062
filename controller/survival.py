"""How long episodes last: survival curves and deaths per 100 steps by window, in the dream beside the real task.

Equal means can hide opposite errors: a dream that kills early and spares late has the game's mean and not its
difficulty. An episode as long as the limit is censored: truncation is not termination.
"""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

WINDOWS = (0, 100, 200, 400, 800, 1200, 2100)  # steps
LEVEL = 0.05  # of intervals and bands
PER = 100  # steps
FEWEST = 10  # episodes that a window is compared by


class Curve(NamedTuple):
    """Kaplan and Meier's estimate: the share that survives `steps` [n], with its 95 % band [n], [n]."""

    steps: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True)
class Hazard:
    """Deaths in a window of steps, the steps lived in it, and the 95 % interval of deaths per 100 steps."""

    start: int
    stop: int
    deaths: int
    steps: int

    @property
    def rate(self) -> float:
        """Deaths per 100 steps lived; NaN where none was."""
        return PER * self.deaths / self.steps if self.steps else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Garwood's exact interval of a Poisson rate."""
        if not self.steps:
            return 0.0, float("inf")
        low = stats.chi2.ppf(LEVEL / 2, 2 * self.deaths) / 2 if self.deaths else 0.0
        high = stats.chi2.ppf(1 - LEVEL / 2, 2 * self.deaths + 2) / 2
        return PER * float(low) / self.steps, PER * float(high) / self.steps


def survival_curve(lengths: Sequence[int], limit: int) -> Curve:
    """Return the survival curve of episodes of these lengths [N], of which those of `limit` steps were cut off.

    The band is Greenwood's on the scale of log(-log(share)); it closes where the share is 1 or 0.
    """
    ends = np.asarray(lengths)
    data = stats.CensoredData.right_censored(np.minimum(ends, limit), ends >= limit)
    found = stats.ecdf(data).sf
    steps, share = np.concatenate([[0], found.quantiles]), np.concatenate([[1.0], found.probabilities])
    if (ends >= limit).all():
        return Curve(steps, np.ones(len(steps)), np.ones(len(steps)), np.ones(len(steps)))
    with warnings.catch_warnings(), np.errstate(divide="ignore", invalid="ignore"):
        warnings.simplefilter("ignore", RuntimeWarning)  # of a band that is not defined where the share is 0
        band = found.confidence_interval(1 - LEVEL, method="log-log")
    low, high = (np.concatenate([[1.0], side.probabilities]) for side in (band.low, band.high))
    return Curve(steps, share, np.where(np.isnan(low), share, low), np.where(np.isnan(high), share, high))


def windows_within(limit: int) -> list[tuple[int, int]]:
    """Return the windows (start, stop) up to a limit, the last one cut off there."""
    edges = [edge for edge in WINDOWS if edge < limit] + [limit]
    return list(zip(edges, edges[1:], strict=False))


def hazards(lengths: Sequence[int], limit: int) -> list[Hazard]:
    """Return deaths and steps lived by window, of episodes of these lengths [N] that were cut off at `limit`."""
    ends = np.asarray(lengths)
    dead = ends[ends < limit]
    return [
        Hazard(
            start, stop, int(((dead > start) & (dead <= stop)).sum()), int(np.clip(ends - start, 0, stop - start).sum())
        )
        for start, stop in windows_within(limit)
    ]


def lives_to(lengths: Sequence[int], limit: int) -> float:
    """Return the share of episodes that reach the limit."""
    return float((np.asarray(lengths) >= limit).mean())


def same_rate(dream: Hazard, game: Hazard) -> float:
    """Return the two-sided p of equal death rates in a window: the exact test of two Poisson rates given their sum.

    1 where nobody lived in it in one of the worlds, or nobody died in either.
    """
    deaths, steps = dream.deaths + game.deaths, dream.steps + game.steps
    if not (dream.steps and game.steps and deaths):
        return 1.0
    return float(stats.binomtest(dream.deaths, deaths, dream.steps / steps).pvalue)


def distance(pairs: Iterable[tuple[Sequence[int], Sequence[int]]], limit: int) -> float:
    """Return how far a dream's hazards are from the real task's: 0 where alike; 0.7 for twice or half as many deaths.

    pairs: lengths (in the dream, in the real task) of each policy. The mean over policies and windows of
    |log((d + 1/2) / (g + 1/2))|, d and g the deaths per 1,000 steps lived; without the last window, which few reach,
    and those in which fewer than `FEWEST` episodes of either begin. NaN where none is left. Ours:
    docs/doom_rules.md, rule 1.
    """
    found = []
    for dream, real in pairs:
        for d, g in zip(hazards(dream, limit), hazards(real, limit), strict=True):
            begun = min(int((np.asarray(ends) > d.start).sum()) for ends in (dream, real))
            if begun >= FEWEST and d.start < WINDOWS[-2]:
                found.append(abs(np.log((10 * d.rate + 0.5) / (10 * g.rate + 0.5))))
    return float(np.mean(found)) if found else float("nan")
