"""Estimates and verdicts: against SciPy and by hand, with made-up scores on both sides of every rule and in between."""

import math

import numpy as np
import pytest
from scipy import stats

from controller.statistics import (
    Estimate,
    Published,
    Sample,
    bootstrap_interval,
    difference,
    interquartile_mean,
    mean_of,
    method_difference,
    method_mean,
    method_to_published,
    over_seeds,
    raised,
    resample_searches,
    to_published,
)
from controller.verdicts import REFUTED, SHOWN, UNDECIDED, All, Between, decide, holm, outcome, p_value

PUBLISHED = Published(1000.0, 200.0)


def scores(mean: float, std: float, count: int = 100, seed: int = 0) -> np.ndarray:
    """Made-up scores without skewness, with this mean and standard deviation (ddof 1) to the last digit."""
    half = np.random.default_rng(seed).normal(size=count // 2)
    x = np.concatenate([half, -half])
    return x / x.std(ddof=1) * std + mean


def sample(mean: float, std: float, count: int = 100, seed: int = 0) -> Sample:
    """Such scores as those of a seed's games."""
    return Sample.pooled([(seed, scores(mean, std, count, seed))])


@pytest.mark.parametrize("count", [30, 100])
def test_interval_against_scipy(count):
    """A percentile bootstrap of the mean with 10,000 resamples, the same each time."""
    scores = np.random.default_rng(0).gamma(2, 200, count)
    low, high = bootstrap_interval(scores)
    known = stats.bootstrap((scores,), np.mean, n_resamples=10_000, method="percentile", random_state=1)
    width = high - low
    assert abs(low - known.confidence_interval.low) < 0.05 * width
    assert abs(high - known.confidence_interval.high) < 0.05 * width
    assert [low, high] == bootstrap_interval(scores)
    assert bootstrap_interval(np.full(5, 3.0)) == [3.0, 3.0]


def test_seeds_summed_up():
    """The spread of the means, with ddof 1, and their range."""
    assert over_seeds([700.0, 800.0, 900.0]) == "800 ± 100 over 3 seeds of CMA-ES (700 to 900)"


def test_pooled_evaluations():
    """Seeds add up; two evaluations of one seed are the same games, of which the longer one counts."""
    pooled = Sample.pooled([(7, [1.0, 2.0]), (11, [5.0]), (7, [1.0, 2.0, 3.0])])
    assert pooled.values.tolist() == [1.0, 2.0, 3.0, 5.0]
    assert pooled.games == (("real", 7, 0), ("real", 7, 1), ("real", 7, 2), ("real", 11, 0))
    assert str(pooled) == "2.75 ± 1.48 (4)"


def test_differences_against_scipy():
    """Welch's t without games in common, the paired t with all of them, and Derrick's formula in between."""
    a, b = sample(500, 200), sample(450, 100, 60, seed=1)
    p = stats.ttest_ind(a.values, b.values, equal_var=False, alternative="greater").pvalue
    assert difference(a, b).p_above(0.0) == pytest.approx(p, rel=1e-9)
    noise = scores(10, 30, seed=5)
    same = Sample(a.values - noise, a.games)
    assert difference(a, same).p_above(0.0) == pytest.approx(
        stats.ttest_rel(a.values, same.values, alternative="greater").pvalue, rel=1e-9
    )
    half = Sample(same.values, a.games[:50] + tuple(("real", 9, n) for n in range(50)))
    r = np.corrcoef(a.values[:50], half.values[:50])[0, 1]
    va, vb = a.std**2 / 100, half.std**2 / 100
    found = difference(a, half)
    assert found.error == pytest.approx(math.sqrt(va + vb - 2 * r * a.std * half.std * 50 / 100**2))
    welch = (va + vb) ** 2 / (va**2 / 99 + vb**2 / 99)
    assert found.df == pytest.approx(49 + (welch - 49) * 100 / 200)


def test_skewness():
    """Hall's transformation by hand, its inverse in the interval, and the sign: a left tail asks for more."""
    estimate = Estimate(10.0, 2.0, 50, 51, skew=-0.3)
    t, skew = 3.0, -0.3
    by_hand = t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6
    assert estimate.t(4.0) == pytest.approx(by_hand) and by_hand < t
    low, high = estimate.interval(0.05)
    assert estimate.p_above(low) == pytest.approx(0.025) and estimate.p_below(high) == pytest.approx(0.025)
    left = mean_of(Sample.pooled([(0, [0.0] * 10 + [10.0] * 90)]))
    assert left.skew == pytest.approx(stats.skew([0.0] * 10 + [10.0] * 90) * (0.99**1.5) / 10)


def test_searches_by_hand():
    """The bootstrap's spread has a closed form; the error is that of the means, never below the episodes' own."""
    searches = [sample(mean, 200, seed=n) for n, mean in enumerate((500, 600, 400))]
    means, within = np.array([500.0, 600.0, 400.0]), 199.0**2 / 100
    drawn = resample_searches(searches, 20_000)
    assert drawn.mean() == pytest.approx(500, abs=3)
    assert drawn.var() == pytest.approx((means.var() + within) / 3, rel=0.05)
    found = method_mean(searches)
    assert (found.value, found.df, found.units, found.unit) == (pytest.approx(500), 2, 3, "searches")
    assert found.error == pytest.approx(means.std(ddof=1) / math.sqrt(3), rel=0.05)
    alike = [sample(500, 200, seed=n) for n in range(3)]
    assert method_mean(alike).error == pytest.approx(20 / math.sqrt(3), rel=0.05)
    assert interquartile_mean([Sample.pooled([(0, [0.0, 1.0, 2.0, 99.0])])]) == 1.5


@pytest.mark.parametrize(
    ("mean", "verdict", "different"),
    [
        (1000, SHOWN, False),
        (1090, SHOWN, True),  # different, and within the margin
        (1190, UNDECIDED, True),
        (1300, REFUTED, True),
        (700, REFUTED, True),
    ],
)
def test_a_row_of_a_table(mean, verdict, different):
    """Within the margin or beyond it is one question, different or not another one."""
    estimate = to_published(sample(mean, 200, 1000), PUBLISHED)
    assert outcome(Between(estimate, -200, 200)) == verdict
    assert (2 * min(estimate.p_above(0), estimate.p_below(0)) < 0.05) == different


def test_more_games_do_not_turn_a_row():
    """What 100 games leave undecided, 10,000 of the same mean and spread show: a small difference is no refutation."""
    assert outcome(Between(to_published(sample(1060, 900), PUBLISHED), -200, 200)) == UNDECIDED
    assert outcome(Between(to_published(sample(1060, 900, 10_000), PUBLISHED), -200, 200)) == SHOWN


@pytest.mark.parametrize(("mean", "verdict"), [(900, SHOWN), (760, UNDECIDED), (740, UNDECIDED), (600, REFUTED)])
def test_above_a_value(mean, verdict):
    """Solved, not solved, and neither."""
    assert outcome(Between(mean_of(sample(mean, 400)), low=750)) == verdict


@pytest.mark.parametrize(("mean", "verdict"), [(180, SHOWN), (210, UNDECIDED), (231, UNDECIDED), (300, REFUTED)])
def test_no_better_than_random(mean, verdict):
    """An agent equal to random is never refuted; with enough games it is shown to be no better."""
    random = sample(210, 100, seed=1)
    assert outcome(Between(difference(sample(mean, 60), *raised([random], 0.1)), high=0)) == verdict
    many = difference(sample(210, 100, 2000), *raised([sample(210, 100, 2000, seed=1)], 0.1))
    assert outcome(Between(many, high=0)) == SHOWN


def test_a_bound_that_is_estimated_is_no_surer_than_its_score():
    """At most a tenth above the other: the error is that of a - 1.1 b, not of a - b beside a number."""
    a, b = sample(500, 200), sample(450, 100, seed=1)
    found = difference(a, *raised([b], 0.1))
    assert found.value == pytest.approx(500 - 495)
    assert found.error == pytest.approx(math.sqrt(200**2 + 110**2) / 10)
    assert raised([sample(-50, 10)], 0.1)[0].mean == pytest.approx(-45)
    assert raised([sample(-50, 10)], -0.1)[0].mean == pytest.approx(-55)
    several = raised([sample(mean, 10) for mean in (-20, 10, 40)], 0.1)  # of both signs: of the mean over all
    assert [s.mean for s in several] == pytest.approx([-22, 11, 44])


def test_games_that_all_searches_played_average_out_over_no_searches():
    """Searches that differ in nothing but luck of their own, on games of which some are hard: by hand."""
    games = scores(1000, 300, seed=9)
    found = [Sample.pooled([(7, games + scores(0, 40, seed=n))]) for n in range(3)]
    apart = [Sample.pooled([(n, s.values)]) for n, s in enumerate(found)]
    same, other = (method_to_published(one, PUBLISHED).error for one in (found, apart))
    means = np.stack([s.values for s in found])
    shared = np.mean([np.cov(means)[i, j] for i, j in ((0, 1), (0, 2), (1, 2))]) / 100
    assert same == pytest.approx(math.sqrt(other**2 + shared), rel=1e-6)
    assert same > 36 > other  # 30 of it are 300 / sqrt(100), whatever the number of searches


def test_an_order():
    """Every step must be shown; one step that goes the other way refutes it."""

    def steps(*means: float) -> All:
        found = [sample(mean, 200, seed=n) for n, mean in enumerate(means)]
        return All(tuple(Between(difference(a, b), low=0.0) for a, b in zip(found, found[1:], strict=False)))

    assert outcome(steps(900, 700, 500)) == SHOWN
    assert outcome(steps(900, 510, 500)) == UNDECIDED
    assert outcome(steps(900, 500, 700)) == REFUTED


def test_methods():
    """Three searches apart show a difference that three searches mixed do not, however many games each has."""
    high = [sample(m, 200, 1000, n) for n, m in enumerate((880, 900, 920))]
    low = [sample(m, 200, 1000, n) for n, m in enumerate((680, 700, 720))]
    wide = [sample(m, 200, 1000, n) for n, m in enumerate((400, 760, 1000))]
    assert outcome(Between(method_difference(high, low), low=0.0)) == SHOWN
    assert outcome(Between(method_difference(low, high), low=0.0)) == REFUTED
    undecided = Between(method_difference(wide, low), low=0.0)
    assert outcome(undecided) == UNDECIDED and "more searches of each" in undecided.further(0.05)


def test_the_episodes_that_would_decide():
    """With as many as it asks for it is decided, with half of them not yet; and some no number of ours decides."""
    question = Between(mean_of(sample(800, 500)), low=750)
    words = question.further(0.01).split()
    more = int(words[1].replace(",", ""))
    assert words[0] == "needs" and words[2:] == ["more", "episodes"]
    assert p_value(Between(mean_of(sample(800, 500, 2 * ((101 + more) // 2))), low=750)) == pytest.approx(
        0.01, rel=0.05
    )
    assert p_value(Between(mean_of(sample(800, 500, 100 + 2 * (more // 4))), low=750)) > 0.01
    stuck = Between(to_published(sample(850, 400), Published(1000, 500)), -200, 200)
    assert "no number" in stuck.further(0.01)
    assert "more than 1,000,000" in Between(mean_of(sample(750.1, 500)), low=750).further(0.01)


def test_where_nothing_varies():
    """Equal is undecided, above is shown, and no division by zero."""
    flat = mean_of(Sample.pooled([(0, [2100.0] * 100)]))
    assert outcome(Between(flat, low=2000)) == SHOWN and outcome(Between(flat, low=2200)) == REFUTED
    assert outcome(Between(flat, low=2100)) == UNDECIDED


def test_holm_by_hand():
    """0.01 meets 0.05 / 4, 0.013 meets 0.05 / 3, 0.03 fails 0.05 / 2, and so does what comes after it."""
    found = holm([0.03, 0.01, 0.04, 0.013])
    assert [rejected for rejected, _ in found] == [False, True, False, True]
    assert [level for _, level in found] == pytest.approx([0.025, 0.0125, 0.025, 0.05 / 3])
    assert holm([]) == []


def test_a_list_is_corrected_together():
    """What is shown alone may be undecided among many, and statements beside the verdicts count too."""
    question = Between(mean_of(sample(850, 400)), low=750)
    assert decide([question])[0][0].outcome == SHOWN
    verdicts, beside = decide([question], beside=[0.9] * 10)
    assert verdicts[0].outcome == UNDECIDED and "needs" in verdicts[0].further and beside == [False] * 10
    assert decide([question], beside=[1e-6])[1] == [True]
