"""Survival in the dream and in the real task: curves and hazards by hand and against SciPy, tables, warnings."""

import math

import numpy as np
import pytest
from released import AGENT, RELEASE
from reporting.survival import both_worlds, hazard_rows, warnings
from scipy import stats

from controller.score_files import load_evaluations
from controller.survival import Hazard, distance, hazards, lives_to, same_rate, survival_curve, windows_within


def test_kaplan_and_meier_by_hand():
    """Deaths at 3, 5 (two) and 8 of six; those of the limit are censored. The band is Greenwood's."""
    curve = survival_curve([3, 5, 5, 8, 10, 10], 10)
    assert curve.steps.tolist() == [0, 3, 5, 8, 10]
    assert curve.share == pytest.approx([1, 5 / 6, 3 / 6, 2 / 6, 2 / 6])
    greenwood = 1 / (6 * 5) + 2 / (5 * 3)  # up to step 5
    half = stats.norm.isf(0.025) * math.sqrt(greenwood) / abs(math.log(0.5))
    assert curve.low[2] == pytest.approx(0.5 ** math.exp(half))
    assert curve.high[2] == pytest.approx(0.5 ** math.exp(-half))
    assert np.isfinite(np.concatenate(curve)).all()


def test_nobody_dies_and_everybody_does():
    """The curve stays at 1, or ends at 0, and the band is closed there."""
    assert survival_curve([10, 12], 10).share.tolist() == [1, 1]
    whole = survival_curve([3, 4], 10)
    assert whole.share[-1] == whole.low[-1] == whole.high[-1] == 0


def test_hazards_by_hand():
    """A death counts in the window it falls into, a step in the window it is lived in; the limit is no death."""
    early, late, *_ = found = hazards([50, 150, 250, 300], 300)
    assert windows_within(300) == [(0, 100), (100, 200), (200, 300)]
    assert (early.deaths, early.steps, late.deaths, late.steps) == (1, 350, 1, 250)
    assert (found[2].deaths, found[2].steps) == (1, 150)
    assert early.rate == pytest.approx(100 / 350)
    assert lives_to([50, 150, 250, 300], 300) == 0.25
    assert hazards([100], 300)[0].deaths == 1 and hazards([101], 300)[1].deaths == 1


def test_interval_of_a_rate():
    """Garwood's: 5 deaths lie between 1.6235 and 11.6683 expected ones (published table)."""
    low, high = Hazard(0, 100, 5, 10_000).interval
    assert (low, high) == (pytest.approx(1.6235 / 100, rel=1e-4), pytest.approx(11.6683 / 100, rel=1e-4))
    assert Hazard(0, 100, 0, 1000).interval[0] == 0.0 and Hazard(0, 100, 0, 0).interval[1] == math.inf


def test_equal_rates_by_hand():
    """Given 4 deaths in all and as many steps in each world, 4 and 0 have p = 2 / 16; what says nothing has p = 1."""
    assert same_rate(Hazard(0, 100, 4, 1000), Hazard(0, 100, 0, 1000)) == pytest.approx(2 / 16)
    assert same_rate(Hazard(0, 100, 1, 1000), Hazard(0, 100, 0, 3000)) == pytest.approx(1 / 4)
    for silent in (Hazard(0, 100, 0, 0), Hazard(0, 100, 0, 1000)):
        assert same_rate(silent, Hazard(0, 100, 0, 1000)) == 1.0


def test_windows_that_differ_are_named():
    """A dream whose early deaths are too many and late ones too few is found out, though its mean may be the same."""
    game = [350] * 200
    dream = [50] * 50 + [450] * 150
    (line,) = warnings({"agent": (dream, game), "left": (game, game)}, 2100)
    assert line == (
        "warning: agent in the dream: too many deaths in steps 0-100 (0.286 per 100, real task 0.000); "
        "too few deaths in steps 200-400 (0.000 per 100, real task 0.667)"
    )


def test_an_equal_dream_is_seldom_warned_of():
    """Samples of one distribution, 5 policies, the 6 windows of each: some warning in at most 5 % of reports."""
    draw = np.random.default_rng(0)
    warned = [
        bool(warnings({who: np.minimum(2100, np.ceil(draw.exponential(500, (2, 100)))) for who in "abcde"}, 2100))
        for _ in range(200)
    ]
    assert np.mean(warned) < 0.05 + 2 * (0.05 * 0.95 / 200) ** 0.5


def test_distance_by_hand():
    """Twelve that die at 50 against twelve of which six do; windows that fewer than ten enter do not count."""
    dream, game = [50] * 12, [50] * 6 + [150] * 6
    d, g = 1000 * 12 / 600, 1000 * 6 / 900
    assert distance([(dream, game)], 300) == pytest.approx(math.log((d + 0.5) / (g + 0.5)))
    assert distance([(dream, game), (game, game)], 300) == pytest.approx(math.log((d + 0.5) / (g + 0.5)) / 2)
    assert distance([(game, dream)], 300) == pytest.approx(distance([(dream, game)], 300))
    assert math.isnan(distance([([50] * 9, [50] * 12)], 300))
    late = [1250] * 12, [2100] * 12  # differ in the last window alone
    assert distance([late], 2100) == 0.0


def test_the_released_scores():
    """The dream does not get harder with time, the game does (the released agent); the warning says where."""
    found = load_evaluations(RELEASE / "evaluation", "float32")
    lengths = both_worlds(found, 1.15)
    agent = next(iter(lengths))
    assert agent == AGENT and list(lengths)[-1] == "sweep120"
    game = [hazard.rate for hazard in hazards(lengths[agent][1], 2100)]
    dream = [hazard.rate for hazard in hazards(lengths[agent][0], 2100)]
    assert max(dream) < 0.1 < game[3] < game[5]
    rows = hazard_rows(lengths, 2100)
    assert rows[0][2:] == ("0-100", "100-200", "200-400", "400-800", "800-1200", "1200-2100", "reach 2,100")
    assert [len(row) for row in rows] == [9] * len(rows)
    (line,) = [line for line in warnings(lengths, 2100) if agent in line]
    assert "too few deaths in steps 1200-2100" in line and "0-100" not in line
