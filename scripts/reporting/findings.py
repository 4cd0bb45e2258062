"""Questions that claims ask of what was played, with the figures that answer them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from reporting.evidence import Played

from controller.statistics import (
    Estimate,
    Published,
    Sample,
    difference,
    in_words,
    interquartile_mean,
    mean_of,
    method_difference,
    method_to_published,
    raised,
    to_published,
)
from controller.verdicts import (
    FEWEST_SEARCHES,
    MARGIN,
    ONE_SEARCH,
    UNMEASURED,
    All,
    Between,
    Question,
    enough,
    enough_searches,
    p_value,
    p_words,
)

ROW_RULE = f"within {MARGIN:.0%} of it (two one-sided tests); beside that, whether it differs"


@dataclass(frozen=True)
class Finding:
    """What was found: the figures, and either a question still to be decided with all others, or an outcome.

    different: two-sided p of "equal to the published mean", a statement of its own.
    """

    figures: str
    question: Question | None = None
    outcome: str = ""
    different: float | None = None


def above_value(played: Played, value: float) -> Finding:
    """Ask whether an agent's mean is above a value."""
    if short := enough(len(played.sample)):
        return Finding(f"{played.sample}: {short}", outcome=UNMEASURED)
    estimate = mean_of(played.sample)
    return Finding(
        f"{played.sample}, mean in {_interval(estimate, value)}; to be above {value:g}", Between(estimate, value)
    )


def above_published(played: Played, published: Published) -> Finding:
    """Ask whether an agent's mean is above a published one."""
    if short := enough(len(played.sample)):
        return Finding(f"{played.sample}: {short}", outcome=UNMEASURED)
    estimate = to_published(played.sample, published)
    return Finding(
        f"{played.sample} to {_told(published)}: {_less(estimate, published.mean)}", Between(estimate, low=0.0)
    )


def above(a: Played, b: Played, what: str) -> Finding:
    """Ask whether agent `a` is above agent or script `b`, over the same games as far as they share them."""
    return _agents(a, b, what, low=0.0)


def above_all(a: Played, others: Sequence[Played], what: str) -> Finding:
    """Ask whether agent `a` is above each of several scripts, but for those of too few episodes."""
    found = [above(a, b, f"{what} {b.first.who}") for b in others]
    asked = [finding for finding in found if finding.question] or found[:1]
    if len(asked) == 1:
        return asked[0]
    return Finding("; ".join(f.figures for f in asked), All(tuple(f.question for f in asked if f.question)))


def not_above(a: Played, b: Played, share: float, what: str) -> Finding:
    """Ask whether agent `a` is at or below `b`, give or take a share of b's mean."""
    return _agents(a, b, what, share, high=0.0)


def not_below(a: Played, b: Played, share: float, what: str) -> Finding:
    """Ask whether agent `a` is at or above `b`, give or take a share of b's mean."""
    return _agents(a, b, what, -share, low=0.0)


def _agents(
    a: Played, b: Played, what: str, allowed: float = 0.0, low: float = -np.inf, high: float = np.inf
) -> Finding:
    """One agent less another: between bounds where the other's scores are raised by the share that is `allowed`."""
    figures = f"{what}: {a.sample} to {b.sample}"
    if short := enough(len(a.sample), len(b.sample)):
        return Finding(f"{figures}; {short}", outcome=UNMEASURED)
    plain = _less(difference(a.sample, b.sample), a.sample.mean)
    question = Between(difference(a.sample, *raised([b.sample], allowed)), low, high)
    return Finding(f"{figures}, {plain}{_allowed(allowed * abs(b.sample.mean))}", question)


def methods_above(a: Sequence[Played], b: Sequence[Played], what: str) -> Finding:
    """Ask whether a method is above another, over its searches."""
    return _methods(a, b, what, 0.0, 0.0)


def methods_not_above(a: Sequence[Played], b: Sequence[Played], share: float, what: str) -> Finding:
    """Ask whether a method is at or below another, give or take a share of the other's mean, over its searches."""
    return _methods(a, b, what, -np.inf, share)


def _methods(a: Sequence[Played], b: Sequence[Played], what: str, low: float, share: float) -> Finding:
    """One method less another: above 0 where `low` is 0, else at most `share` of the other's mean."""
    short = enough_searches(len(a), len(b))
    if short and min(len(a), len(b)) == 1:
        agents = above(a[0], b[0], what) if low == 0 else not_above(a[0], b[0], share, what)
        lone = f", {p_words(p_value(agents.question))} for these two agents alone" if agents.question else ""
        return Finding(f"{agents.figures}{lone}", outcome=ONE_SEARCH)
    figures = f"{what}: {_searches(a)} to {_searches(b)}"
    if short := short or enough(*(len(played.sample) for played in (*a, *b))):
        return Finding(f"{figures}; {short}", outcome=UNMEASURED)
    ours, others = ([played.sample for played in side] for side in (a, b))
    plain, mean = method_difference(ours, others), float(np.mean([sample.mean for sample in others]))
    bounded = method_difference(ours, raised(others, share)) if share else plain
    question = Between(bounded, low) if low == 0 else Between(bounded, high=0.0)
    return Finding(f"{figures}, {_less(plain, mean)}{_allowed(share * abs(mean))}", question)


def methods_fall(groups: Sequence[tuple[str, Sequence[Played]]], steps: Sequence[tuple[int, int]]) -> Finding:
    """Ask whether methods come in an order: for each step (higher, lower) whether the one is above the other."""
    figures = ", ".join(f"{name}: {_searches(found)}" for name, found in groups)
    if short := enough_searches(*(len(found) for _, found in groups)):
        lone = min(len(found) for _, found in groups) == 1
        return Finding(figures if lone else f"{figures}; {short}", outcome=ONE_SEARCH if lone else UNMEASURED)
    samples = [[played.sample for played in found] for _, found in groups]
    return Finding(figures, All(tuple(Between(method_difference(samples[i], samples[j]), low=0.0) for i, j in steps)))


def falling(groups: Sequence[tuple[str, Played]]) -> Finding:
    """Ask whether the scores of one agent fall from each group to the next."""
    figures = ", ".join(f"{name}: {played.sample}" for name, played in groups)
    if short := enough(*(len(played.sample) for _, played in groups)):
        return Finding(f"{figures}; {short}", outcome=UNMEASURED)
    samples = [played.sample for _, played in groups]
    steps = zip(samples, samples[1:], strict=False)
    return Finding(figures, All(tuple(Between(difference(a, b), low=0.0) for a, b in steps)))


def row(found: Sequence[Played], published: Published) -> Finding:
    """Ask whether a score lies within the margin of a published one, and beside that whether it differs from it.

    Over the searches where there are enough of them, else over the episodes of the first search's agent.
    """
    many = len(found) >= FEWEST_SEARCHES
    if short := enough(*(len(played.sample) for played in (found if many else found[:1]))):
        return Finding(f"{found[0].sample}: {short}", outcome=UNMEASURED)
    estimate = (
        method_to_published([p.sample for p in found], published) if many else to_published(found[0].sample, published)
    )
    margin = MARGIN * abs(published.mean)
    ours = _searches(found) if many else str(found[0].sample)
    figures = f"{ours} to {_told(published)}: {_less(estimate, published.mean)}, margin ±{margin:.0f}"
    return Finding(figures, Between(estimate, -margin, margin), different=estimate.p_different)


def _told(published: Published) -> str:
    return f"{published.mean:.0f} ± {published.std:.0f} ({published.episodes:,})"


def _searches(found: Sequence[Played]) -> str:
    """One search's score, or the mean and spread of several with their interquartile mean."""
    samples: list[Sample] = [played.sample for played in found]
    if len(samples) < 2:
        return str(samples[0]) if samples else "none"
    means = [sample.mean for sample in samples]
    middle = interquartile_mean(samples)
    mean, spread, middle = (in_words(v, float(np.mean(means))) for v in (np.mean(means), np.std(means, ddof=1), middle))
    return f"{mean} ± {spread} over {len(means)} searches (middle half {middle})"


def _interval(estimate: Estimate, scale: float) -> str:
    low, high = (in_words(bound, scale) for bound in estimate.interval())
    return f"[{low}, {high}]"


def _less(estimate: Estimate, scale: float) -> str:
    """Return a difference of means of this scale in words, with its 95 % interval."""
    side = "more" if estimate.value >= 0 else "less"
    return f"{in_words(abs(estimate.value), scale)} {side} {_interval(estimate, scale)}"


def _allowed(allowed: float) -> str:
    """Return which difference was to be stayed below (or above, where it is below 0), if any."""
    return f"; allowed {abs(allowed):.0f} {'more' if allowed > 0 else 'less'}" if allowed else ""
