"""How often each rule gives a false verdict: simulated with true values at the edge of a claim, the worst case.

Scores are drawn with the shapes of the two tasks: steps survived (skewed, cut off at 2,100) and returns of CarRacing
(a long tail of bad episodes). Searches differ from one another as the released and the quick runs' do.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from controller.statistics import (
    Published,
    Sample,
    difference,
    mean_of,
    method_difference,
    method_to_published,
    raised,
    resample_searches,
    to_published,
)
from controller.verdicts import LEVEL, MARGIN, REFUTED, SHOWN, All, Between, holm, outcome, p_value

GAMES, LIMIT, SPREAD = 100, 2100, 60.0  # episodes of a sample, longest game, standard deviation of searches' means
GROWTH = tuple(range(100, 1001, 100))
SEED = 7  # of a sample's games
RESAMPLES = 300  # of a bootstrap within a simulation

Draw = Callable[[np.random.Generator], bool]


class Rate(NamedTuple):
    """How often a rule's verdict was false, beside the most that it may be."""

    rule: str
    nominal: float
    simulated: float
    draws: int

    @property
    def error(self) -> float:
        """The standard error of the simulated rate where the true one is nominal."""
        return (self.nominal * (1 - self.nominal) / self.draws) ** 0.5


@dataclass(frozen=True)
class Rule:
    """A rule with a nominal error rate, and one simulated trial of it: whether its verdict was false."""

    name: str
    nominal: float
    trial: Draw


def survivals(rng: np.random.Generator, count: int = GAMES) -> np.ndarray:
    """Return steps survived [count]: a Weibull of shape 1.6, cut off at 2,100; its mean is `SURVIVAL`."""
    return np.minimum(LIMIT, 900 * rng.weibull(1.6, count))


def returns(rng: np.random.Generator, count: int = GAMES) -> np.ndarray:
    """Return CarRacing's returns [count]: 930 less a gamma of shape 1; the mean is 780."""
    return 930 - rng.gamma(1, 150, count)


SURVIVAL = float(survivals(np.random.default_rng(0), 2_000_000).mean())
RETURN = 780.0


def sample(values: np.ndarray, seed: int = SEED) -> Sample:
    """Return scores as those of a seed's games."""
    return Sample.pooled([(seed, values)])


def searches(rng: np.random.Generator, count: int) -> list[Sample]:
    """Return a method's searches, whose means spread about `SURVIVAL`."""
    return [sample(survivals(rng) + rng.normal(0, SPREAD), seed) for seed in range(count)]


def above_value(draw: Callable, mean: float) -> Draw:
    """Return a trial of "the mean is above its true value"."""
    return lambda rng: outcome(Between(mean_of(sample(draw(rng))), low=mean)) == SHOWN


def two_agents(common: int, shared: float) -> Draw:
    """Return a trial of "a is above b" for equal agents, `common` of whose games are the same, `shared` of variance."""

    def trial(rng: np.random.Generator) -> bool:
        track = returns(rng)
        a, b = ((1 - shared) * returns(rng) + shared * track for _ in range(2))
        b[common:] = (1 - shared) * returns(rng, GAMES - common) + shared * returns(rng, GAMES - common)
        games = tuple(("real", 7 if n < common else 8, n) for n in range(GAMES))
        return outcome(Between(difference(sample(a), Sample(b, games)), low=0.0)) in (SHOWN, REFUTED)

    return trial


def reproduced(offset: float, false: str) -> Draw:
    """Return a trial of "within the margin of the published mean", our true mean `offset` margins above theirs."""

    def trial(rng: np.random.Generator) -> bool:
        theirs, margin = survivals(rng), MARGIN * SURVIVAL
        published = Published(float(theirs.mean()), float(theirs.std(ddof=1)), GAMES)
        ours = sample(survivals(rng, 10 * GAMES) + offset * margin)
        return outcome(Between(to_published(ours, published), -margin, margin)) == false

    return trial


def no_better(false: str, offset: float) -> Draw:
    """Return a trial of "at most a tenth better than random", our true mean `offset` tenths above it."""

    def trial(rng: np.random.Generator) -> bool:
        a, b = sample(survivals(rng) + offset * 0.1 * SURVIVAL), sample(survivals(rng), 8)
        return outcome(Between(difference(a, *raised([b], 0.1)), high=0.0)) == false

    return trial


def order(rng: np.random.Generator) -> bool:
    """Try "five means fall" where the last two are equal: whether it was shown."""
    means = [sample(survivals(rng) + 400.0 * n, place) for place, n in enumerate((4, 3, 2, 1, 1))]
    steps = tuple(Between(difference(a, b), low=0.0) for a, b in zip(means, means[1:], strict=False))
    return outcome(All(steps)) == SHOWN


def two_methods(count: int) -> Draw:
    """Return a trial of "method a is above b" for equal methods of so many searches each."""

    def trial(rng: np.random.Generator) -> bool:
        found = method_difference(searches(rng, count), searches(rng, count), RESAMPLES)
        return outcome(Between(found, low=0.0)) in (SHOWN, REFUTED)

    return trial


def row_of_searches(rng: np.random.Generator) -> bool:
    """Try "three searches, all on the same games, differ from the published mean" where they do not."""
    games, theirs = survivals(rng), (survivals(rng) + survivals(rng)) / 2
    found = [sample((survivals(rng) + games) / 2 + rng.normal(0, SPREAD)) for _ in range(3)]
    published = Published(float(theirs.mean()), float(theirs.std(ddof=1)), GAMES)
    estimate = method_to_published(found, published, RESAMPLES)
    return outcome(Between(estimate, low=0.0)) in (SHOWN, REFUTED)


def percentile(rng: np.random.Generator) -> bool:
    """Try the same by a plain percentile interval of the two-level bootstrap, 3 searches: whether it misses 0."""
    a, b = (resample_searches(searches(rng, 3), RESAMPLES, seed) for seed in (0, 1))
    low, high = np.percentile(a - b, [100 * LEVEL / 2, 100 * (1 - LEVEL / 2)])
    return not low <= 0 <= high


def episodes_only(rng: np.random.Generator) -> bool:
    """Try the same with one search each and episodes as the unit: whether "a is above b" got a verdict."""
    (a,), (b,) = searches(rng, 1), searches(rng, 1)
    return outcome(Between(difference(a, Sample(b.values, tuple(("real", 9, n) for n in range(GAMES)))), low=0.0)) in (
        SHOWN,
        REFUTED,
    )


def whole_list(rng: np.random.Generator) -> bool:
    """Try a list of 30 claims whose true values all lie on their bounds: whether any was shown."""
    questions = [Between(mean_of(sample(survivals(rng))), low=SURVIVAL) for _ in range(30)]
    ps = holm([p_value(question) for question in questions])
    return any(rejected and outcome(q, step) == SHOWN for q, (rejected, step) in zip(questions, ps, strict=True))


def turned(rng: np.random.Generator) -> bool:
    """Let an agent on the bound play on from 100 games to 1,000: whether "shown" ever became "refuted"."""
    values, was_shown = survivals(rng, GROWTH[-1]), False
    for count in GROWTH:
        verdict = outcome(Between(mean_of(sample(values[:count])), low=SURVIVAL))
        if verdict == REFUTED and was_shown:
            return True
        was_shown |= verdict == SHOWN
    return False


def turned_row(rng: np.random.Generator) -> bool:
    """Let an agent half a margin off play on: whether "within the margin" ever became "further off"."""
    margin, published = MARGIN * SURVIVAL, Published(SURVIVAL, 480.0)
    values, was_shown = survivals(rng, GROWTH[-1]) + 0.5 * margin, False
    for count in GROWTH:
        verdict = outcome(Between(to_published(sample(values[:count]), published), -margin, margin))
        if verdict == REFUTED and was_shown:
            return True
        was_shown |= verdict == SHOWN
    return False


HALF = LEVEL / 2  # each of the two verdicts of one claim
RULES = (
    Rule("an agent above a value, survival", HALF, above_value(survivals, SURVIVAL)),
    Rule("an agent above a value, returns", HALF, above_value(returns, RETURN)),
    Rule("one agent above another, other games", LEVEL, two_agents(0, 0.5)),
    Rule("one agent above another, half of the games the same", LEVEL, two_agents(50, 0.5)),
    Rule("one agent above another, the same games", LEVEL, two_agents(GAMES, 0.5)),
    Rule("a row within the margin: shown on its edge", HALF, reproduced(1.0, SHOWN)),
    Rule("a row within the margin: refuted on its edge", HALF, reproduced(1.0, REFUTED)),
    Rule("a row within the margin: refuted, though equal", HALF, reproduced(0.0, REFUTED)),
    Rule("no better than random: shown, though a tenth better", HALF, no_better(SHOWN, 1.0)),
    Rule("no better than random: refuted, though equal", HALF, no_better(REFUTED, 0.0)),
    Rule("an order of five, the last two equal", HALF, order),
    Rule("one method above another, 3 searches each", LEVEL, two_methods(3)),
    Rule("one method above another, 5 searches each", LEVEL, two_methods(5)),
    Rule("three searches on the same games: different, though equal", LEVEL, row_of_searches),
    Rule("any of 30 claims shown, all on their bounds (Holm)", HALF, whole_list),
    Rule("shown, then refuted by more games: on the bound", 0.0, turned),
    Rule("shown, then refuted by more games: a row", 0.0, turned_row),
    Rule("not used: plain percentiles of the bootstrap, 3 searches", LEVEL, percentile),
    Rule("not used: one search each, judged by its episodes", LEVEL, episodes_only),
)


def simulate(rule: Rule, draws: int, seed: int = 0) -> Rate:
    """Return how often a rule's verdict was false."""
    trials = [rule.trial(np.random.default_rng([seed, n])) for n in range(draws)]
    return Rate(rule.name, rule.nominal, float(np.mean(trials)), draws)
