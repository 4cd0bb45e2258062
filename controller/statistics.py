"""Whether measured scores bear out published ones: the rules of `scripts/verify_claims.py`, and nothing else.

Means are compared by Welch's test against the published mean, standard deviation and number of episodes, corrected for
the number of rows of the table (Bonferroni); intervals are percentile bootstraps of the mean (`controller.evaluation`).
No verdict is given from fewer than 100 episodes.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import stats

from experiment.random_streams import Purpose

FEWEST = 100  # episodes
LEVEL = 0.05  # of the whole table
MARGIN = 0.2  # share of the published mean within which a row counts as reproduced
HOLDS, FAILS, OPEN = "holds", "does not hold", "not measured yet"
REPRODUCED, ABOVE, BELOW = "reproduced", "above", "below"


RESAMPLES = 10_000


def bootstrap_interval(scores: np.ndarray, seed: int = 0) -> list[float]:
    """95 % percentile bootstrap interval of the mean."""
    rng = Purpose.BOOTSTRAP.stream(seed).generator()
    means = [rng.choice(scores, len(scores)).mean() for _ in range(RESAMPLES)]
    return [float(v) for v in np.percentile(means, [2.5, 97.5])]


def welch_p(scores: np.ndarray, others: np.ndarray, alternative: str = "two-sided") -> float:
    """p of Welch's test that two means are equal, against `alternative` ("greater": the first one is above)."""
    if np.std(scores) == 0 and np.std(others) == 0:
        equal = np.mean(scores) <= np.mean(others) if alternative == "greater" else np.mean(scores) == np.mean(others)
        return float(equal)
    return float(stats.ttest_ind(scores, others, equal_var=False, alternative=alternative).pvalue)


def over_seeds(means: list[float]) -> str:
    """The mean, sample standard deviation and range of the means of several seeds, in words."""
    spread = f"{np.mean(means):.0f} ± {np.std(means, ddof=1):.0f}"
    return f"{spread} over {len(means)} seeds of CMA-ES ({min(means):.0f} to {max(means):.0f})"


@dataclass(frozen=True)
class Published:
    """A published score: mean and standard deviation over a number of episodes."""

    mean: float
    std: float
    episodes: int = 100


class Finding(NamedTuple):
    """A verdict, and the figures it stands on in words."""

    verdict: str
    figures: str


def few(scores: list[float]) -> Finding | None:
    """The finding of too few episodes, or None."""
    if len(scores) < FEWEST:
        return Finding(OPEN, f"{len(scores)} of {FEWEST} episodes")
    return None


def compare(scores: list[float], published: Published, rows: int) -> Finding:
    """A row of a table: "reproduced", "above", "below", or undecided with the number of episodes that would decide it.

    scores: of our episodes. rows: of the table, for the correction. A mean that differs significantly is above or
    below; one that does not is reproduced where the 95 % interval of the difference stays within `MARGIN` of the
    published mean.
    """
    if (short := few(scores)) is not None:
        return short
    mean, std, n = float(np.mean(scores)), float(np.std(scores, ddof=1)), len(scores)
    ours, theirs = std**2 / n, published.std**2 / published.episodes
    figures = f"{mean:.0f} ± {std:.0f} ({n}) against {published.mean:.0f} ± {published.std:.0f} ({published.episodes})"
    error = math.sqrt(ours + theirs)
    if error == 0:
        p = float(mean == published.mean)
    else:
        p = float(stats.ttest_ind_from_stats(mean, std, n, published.mean, published.std, published.episodes, False)[1])
    figures += f", p = {p:.2g}"
    if p < LEVEL / rows:
        return Finding(ABOVE if mean > published.mean else BELOW, figures)
    half, margin = 1.96 * error, MARGIN * abs(published.mean)
    if abs(mean - published.mean) + half <= margin:
        return Finding(REPRODUCED, figures)
    return Finding(f"undecided, {_more(std, n, theirs, margin - abs(mean - published.mean))}", figures)


def _more(std: float, n: int, theirs: float, room: float) -> str:
    """How many episodes would decide a row whose interval may be `room` wide on either side."""
    left = (room / 1.96) ** 2 - theirs if room > 0 else 0.0
    if left <= 0:
        return "more episodes of ours alone cannot decide it"
    return f"needs {max(1, math.ceil(std**2 / left) - n):,} more episodes"


def above_value(scores: list[float], value: float, low: float) -> Finding:
    """Whether a mean lies above a value: by the lower end of its 95 % interval, `low`."""
    if (short := few(scores)) is not None:
        return short
    verdict = HOLDS if low > value else FAILS
    return Finding(verdict, f"mean {np.mean(scores):.0f}, 95 % interval from {low:.0f}; to be above {value:g}")


def greater(scores: list[float], others: list[float], what: str) -> Finding:
    """Whether one mean is above another: one-sided Welch at 5 %."""
    if (short := few(scores) or few(others)) is not None:
        return short
    p = welch_p(scores, others, "greater")
    figures = f"{what}: {np.mean(scores):.0f} to {np.mean(others):.0f}, p = {p:.2g}"
    return Finding(HOLDS if p < LEVEL else FAILS, figures)


def not_greater_by(scores: list[float], others: list[float], share: float, what: str) -> Finding:
    """Whether one mean is at or below another, give or take a share of it, by the upper end of the difference."""
    if (short := few(scores) or few(others)) is not None:
        return short
    error = math.sqrt(np.var(scores, ddof=1) / len(scores) + np.var(others, ddof=1) / len(others))
    high = np.mean(scores) - np.mean(others) + 1.96 * error
    limit = share * float(np.mean(others))
    figures = f"{what}: {np.mean(scores):.0f} to {np.mean(others):.0f}, at most {high:.0f} more; allowed {limit:.0f}"
    return Finding(HOLDS if high <= limit else FAILS, figures)


def falling(groups: list[tuple[str, list[float]]]) -> Finding:
    """Whether scores fall from group to group: Spearman's correlation of score and order below 0 at 5 %."""
    for _, scores in groups:
        if (short := few(scores)) is not None:
            return short
    order = np.repeat(np.arange(len(groups)), [len(scores) for _, scores in groups])
    found = stats.spearmanr(order, np.concatenate([scores for _, scores in groups]), alternative="less")
    means = ", ".join(f"{name} {np.mean(scores):.0f}" for name, scores in groups)
    verdict = HOLDS if found.pvalue < LEVEL else FAILS
    return Finding(verdict, f"{means}; rank correlation {found.statistic:.2f}, p = {found.pvalue:.2g}")
