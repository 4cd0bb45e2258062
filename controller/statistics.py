"""Estimates behind a verdict: means, differences and their standard errors, over episodes and over searches.

An agent is judged over its episodes, a method over its searches (seeds of CMA-ES): the difference of two methods has a
two-level bootstrap over searches and episodes behind it. Which claim these bear out, and how surely, is decided in
`controller.verdicts`. Letters: N episodes, K searches, R resamples.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from experiment.arrays import described
from experiment.random_streams import Purpose

RESAMPLES = 10_000  # of an interval
RESAMPLED_SEARCHES = 2_000  # times; the error of a method's mean is then known to 2 %
FEWEST_PAIRS = 30  # games that two policies must share before their correlation counts
FEWEST_SEARCHES = 3  # of a method
FLAT = 1e-6  # a skewness that is none
EPISODES, SEARCHES = "episodes", "searches"


def bootstrap_interval(scores: np.ndarray, seed: int = 0) -> list[float]:
    """Return the 95 % percentile bootstrap interval of the mean of scores [N]; ValueError where they are not that."""
    array = np.asarray(scores)
    if array.ndim != 1 or len(array) < 1 or array.dtype.kind not in "fiu" or not np.isfinite(array).all():
        raise ValueError(f"scores must be 1 finite number or more, in one row; they are {described(scores)}")
    scores = array.astype(np.float64)
    rng = Purpose.BOOTSTRAP.stream(seed).generator()
    means = [rng.choice(scores, len(scores)).mean() for _ in range(RESAMPLES)]
    return [float(v) for v in np.percentile(means, [2.5, 97.5])]


def over_seeds(means: list[float]) -> str:
    """Return the mean, sample standard deviation and range of the means of several seeds, in words."""
    spread = f"{np.mean(means):.0f} ± {np.std(means, ddof=1):.0f}"
    return f"{spread} over {len(means)} seeds of CMA-ES ({min(means):.0f} to {max(means):.0f})"


def in_words(value: float, scale: float) -> str:
    """Return a number as text, with two decimals where the figures beside it, of this scale, are small."""
    return f"{value:.0f}" if abs(scale) >= 10 else f"{value:.2f}"


@dataclass(frozen=True)
class Published:
    """A published score: mean and standard deviation over a number of episodes."""

    mean: float
    std: float
    episodes: int = 100


@dataclass(frozen=True)
class Sample:
    """Scores [N] of one policy, each with the game it was played in: (world, seed, number), equal for the same game."""

    values: np.ndarray
    games: tuple[tuple[str, int, int], ...]

    @classmethod
    def pooled(cls, evaluations: Sequence[tuple[int, Sequence[float]]], world: str = "real") -> "Sample":
        """Return one sample of one policy's evaluations (seed, scores) in a world; of a seed's only the longest counts.

        Evaluations of the same seed play the same games, so a longer one holds a shorter one.
        """
        longest: dict[int, Sequence[float]] = {}
        for seed, scores in sorted(evaluations, key=lambda e: len(e[1])):
            longest[seed] = scores
        games = tuple((world, seed, n) for seed, scores in sorted(longest.items()) for n in range(len(scores)))
        return cls(np.array([s for _, scores in sorted(longest.items()) for s in scores], float), games)

    def __len__(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        """The mean score."""
        return float(self.values.mean())

    @property
    def std(self) -> float:
        """The standard deviation, ddof 1."""
        return float(self.values.std(ddof=1)) if len(self) > 1 else 0.0

    @property
    def third(self) -> float:
        """The third cumulant of the mean: that of the scores over N squared."""
        return float(((self.values - self.mean) ** 3).mean()) / len(self) ** 2

    def __str__(self) -> str:
        mean, std = (in_words(value, self.mean) for value in (self.mean, self.values.std()))  # ddof 0, as in tables
        return f"{mean} ± {std} ({len(self):,})"


@dataclass(frozen=True)
class Estimate:
    """A number, its standard error and degrees of freedom.

    units: how many `unit` of ours it stands on. fixed: the part of the squared error that more of them cannot lower.
    skew: the skewness of the estimate's own distribution; Student's t is wrong by it, which Hall's transformation
    mends (Hall 1992, "On the removal of skewness by transformation"). of_each: whether it is a difference of two of
    ours, and `units` is that of the larger side.
    """

    value: float
    error: float
    df: float
    units: int
    unit: str = EPISODES
    fixed: float = 0.0
    skew: float = 0.0
    of_each: bool = False

    def t(self, bound: float) -> float:
        """Return Student's t of the distance from `bound`, freed of skewness."""
        if self.error == 0 or math.isinf(bound):
            return math.inf * math.copysign(1, self.value - bound) if self.value != bound else 0.0
        t, skew = (self.value - bound) / self.error, self.skew
        return t if abs(skew) < FLAT else ((1 + skew * t / 3) ** 3 - 1) / skew + skew / 6

    def p_above(self, bound: float) -> float:
        """Return the one-sided p of "the true value is at or below `bound`"."""
        return float(special.stdtr(self.df, -self.t(bound)))

    def p_below(self, bound: float) -> float:
        """Return the one-sided p of "the true value is at or above `bound`"."""
        return float(special.stdtr(self.df, self.t(bound)))

    @property
    def p_different(self) -> float:
        """The two-sided p of "the true value is 0"."""
        return 2 * min(self.p_above(0.0), self.p_below(0.0), 0.5)

    def interval(self, level: float = 0.05) -> tuple[float, float]:
        """Return the two-sided interval of this error level."""
        quantile = float(special.stdtrit(self.df, 1 - level / 2))
        return self._bound(quantile), self._bound(-quantile)

    def _bound(self, t: float) -> float:
        """Return the bound that lies at this t: the transformation backwards."""
        if abs(self.skew) >= FLAT:
            t = 3 * (np.cbrt(1 + self.skew * (t - self.skew / 6)) - 1) / self.skew
        return float(self.value - t * self.error)

    def with_units(self, units: int) -> "Estimate":
        """Return the same value as it would stand on so many units of ours."""
        ratio = self.units / units
        error = math.sqrt(max(0.0, self.error**2 - self.fixed) * ratio + self.fixed)
        return replace(self, error=error, df=self.df / ratio, units=units, skew=self.skew * math.sqrt(min(1.0, ratio)))


def mean_of(sample: Sample) -> Estimate:
    """Return the mean score of an agent, over its episodes."""
    error = sample.std / math.sqrt(len(sample))
    return Estimate(sample.mean, error, len(sample) - 1, len(sample), skew=_skewness(sample.third, error))


def to_published(sample: Sample, published: Published) -> Estimate:
    """Return our mean less the published one, with Welch's standard error and degrees of freedom."""
    ours, theirs = sample.std**2 / len(sample), published.std**2 / published.episodes
    df = _satterthwaite((ours, len(sample) - 1), (theirs, published.episodes - 1))
    error = math.sqrt(ours + theirs)
    skew = _skewness(sample.third, error)
    return Estimate(sample.mean - published.mean, error, df, len(sample), fixed=theirs, skew=skew)


def raised(samples: Sequence[Sample], share: float) -> list[Sample]:
    """Return the same games with scores whose mean over all is higher by a share of its own size, or lower.

    A difference from these has the noise in it of a bound that is a share of an estimated mean.
    """
    factor = 1 + share * np.sign(np.mean([sample.mean for sample in samples]))
    return [replace(sample, values=sample.values * factor) for sample in samples]


def difference(a: Sample, b: Sample) -> Estimate:
    """Return the mean of `a` less that of `b`: a paired test as far as they played the same games, Welch's otherwise.

    Source: Derrick, Russ, Toher and White (2017), the test of partially overlapping samples with unequal variances;
    without a common game it is Welch's t test, with all games in common the paired t test. What skewness two samples
    share cancels, and what is left of it is lost in estimating it (simulated): it is not corrected for here.
    """
    x, y = _common(a, b)
    if len(x) == len(a) == len(b):
        return replace(mean_of(Sample(x - y, a.games)), of_each=True, skew=0.0)
    va, vb, na, nb, pairs = a.std**2 / len(a), b.std**2 / len(b), len(a), len(b), len(x)
    df = _satterthwaite((va, na - 1), (vb, nb - 1))
    covariance = 0.0
    if pairs and x.std() and y.std():
        df = pairs - 1 + (df - pairs + 1) * (na + nb - 2 * pairs) / (na + nb)
        covariance = float(np.corrcoef(x, y)[0, 1]) * a.std * b.std * pairs / (na * nb)
    error = math.sqrt(max(0.0, va + vb - 2 * covariance))
    return Estimate(a.mean - b.mean, error, max(1.0, df), max(na, nb), of_each=True)


def _common(a: Sample, b: Sample) -> tuple[np.ndarray, np.ndarray]:
    """Scores of both in the games that both played; none where these are fewer than `FEWEST_PAIRS`."""
    place = {game: n for n, game in enumerate(b.games)}
    pairs = [(n, place[game]) for n, game in enumerate(a.games) if game in place]
    if len(pairs) < FEWEST_PAIRS:
        return np.empty(0), np.empty(0)
    return a.values[[i for i, _ in pairs]], b.values[[j for _, j in pairs]]


def _skewness(third: float, error: float) -> float:
    """Skewness of an estimate with this third cumulant and standard error."""
    return third / error**3 if error > 0 else 0.0


def _satterthwaite(*parts: tuple[float, float]) -> float:
    """Degrees of freedom of a sum of variances (variance, degrees of freedom)."""
    below = sum(v**2 / df for v, df in parts if df > 0)
    return sum(v for v, _ in parts) ** 2 / below if below > 0 else max(1.0, sum(df for _, df in parts))


def resample_searches(searches: Sequence[Sample], resamples: int = RESAMPLED_SEARCHES, seed: int = 0) -> np.ndarray:
    """Return means [R] of a method: searches drawn with replacement, then the episodes of each one drawn."""
    rng, count = Purpose.BOOTSTRAP.stream(seed).generator(), len(searches)
    picks = rng.integers(count, size=(resamples, count))
    means = np.empty((resamples, count))
    for number, search in enumerate(searches):
        chosen = picks == number
        values, total = search.values, int(chosen.sum())
        block = max(1, 4_000_000 // len(values))
        drawn = [
            values[rng.integers(len(values), size=(min(block, total - start), len(values)))].mean(axis=1)
            for start in range(0, total, block)
        ]
        means[chosen] = np.concatenate(drawn) if drawn else []
    return means.mean(axis=1)


def method_mean(searches: Sequence[Sample], resamples: int = RESAMPLED_SEARCHES) -> Estimate:
    """Return the mean score of a method over its searches, K >= 2.

    The error is the two-level bootstrap's, less the episodes' part that its second level counts twice, times
    sqrt(K / (K - 1)), and never below what the episodes alone make; with K - 1 degrees of freedom. Plain percentiles
    of so few searches are too narrow (`scripts/verify_claims.py --error-rates` has both).
    """
    count = len(searches)
    episodes = float(np.mean([s.std**2 / len(s) for s in searches])) / count
    drawn = float(resample_searches(searches, resamples).var())
    error = math.sqrt(max(episodes, (drawn - episodes) * count / (count - 1)))
    return Estimate(float(np.mean([s.mean for s in searches])), error, count - 1, count, SEARCHES)


def method_difference(a: Sequence[Sample], b: Sequence[Sample], resamples: int = RESAMPLED_SEARCHES) -> Estimate:
    """Return the mean of method `a` less that of `b`, each over its own searches (at least 2)."""
    one, two = method_mean(a, resamples), method_mean(b, resamples)
    df = _satterthwaite((one.error**2, one.df), (two.error**2, two.df))
    error, units = math.hypot(one.error, two.error), max(one.units, two.units)
    return Estimate(one.value - two.value, error, df, units, SEARCHES, of_each=True)


def method_to_published(
    searches: Sequence[Sample], published: Published, resamples: int = RESAMPLED_SEARCHES
) -> Estimate:
    """Return the mean of a method's searches less a published one; what its authors' searches spread is not known.

    What the games that all searches played have in common, hard ones or easy ones, no number of searches averages out.
    """
    ours, theirs = method_mean(searches, resamples), published.std**2 / published.episodes
    fixed = theirs + _shared_variance(searches)
    df = _satterthwaite((ours.error**2, ours.df), (fixed, published.episodes - 1))
    error = math.sqrt(ours.error**2 + fixed)
    return Estimate(ours.value - published.mean, error, df, ours.units, SEARCHES, fixed)


def _shared_variance(searches: Sequence[Sample]) -> float:
    """Return the mean covariance of the means of two searches, from the games that both played; at least 0."""
    found = []
    for a, b in itertools.combinations(searches, 2):
        x, y = _common(a, b)
        covariance = float(np.cov(x, y)[0, 1]) if len(x) else 0.0
        found.append(covariance * len(x) / (len(a) * len(b)))
    return max(0.0, float(np.mean(found)))


def interquartile_mean(searches: Sequence[Sample]) -> float:
    """Return the mean of the middle half of all episodes of a method, every search counting alike where equally long.

    Source: Agarwal et al. (2021), "Deep Reinforcement Learning at the Edge of the Statistical Precipice".
    """
    return float(stats.trim_mean(np.concatenate([s.values for s in searches]), 0.25))
