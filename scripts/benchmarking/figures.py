"""The arithmetic of the benchmark: pairs, spreads, exponents, verdicts. Rates in, figures out; nothing is measured."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

REACHED, MISSED, OPEN = "reached", "missed", "not measured"
AT_LEAST, AT_MOST = "at least", "at most"


@dataclass(frozen=True)
class Spread:
    """The median of repetitions, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Target:
    """What a figure must reach.

    measure, ours, over: the figure is the series `ours` of a measure, divided by its series `over`, if there is one,
    repetition by repetition. sense: AT_LEAST or AT_MOST the bound.
    """

    measure: str
    ours: str
    over: str
    unit: str
    sense: str
    bound: float
    source: str = "ours, for 2 cores"

    @property
    def name(self) -> str:
        """How tables and JSON call it."""
        return f"{self.measure}: {self.ours}{f' / {self.over}' if self.over else ''}"


def paired(ours: Sequence[float], over: Sequence[float]) -> list[float]:
    """Return the ratio of every repetition; both were measured alternately, equally often."""
    return [a / b for a, b in zip(ours, over, strict=True)]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """Return the slope e of the line of least squares through (log size, log seconds): seconds grow as size ** e."""
    x, y = [math.log(size) for size in sizes], [math.log(second) for second in seconds]
    return statistics.linear_regression(x, y).slope


def judged(target: Target, series: dict[str, list[float] | None]) -> dict[str, Any]:
    """Return a target with what was measured and the verdict on the median, as a row of the JSON."""
    ours, over = series.get(target.ours), series.get(target.over) if target.over else None
    row = {"name": target.name, "unit": target.unit, "sense": target.sense, "bound": target.bound}
    row |= {"source": target.source, "value": None, "low": None, "high": None, "verdict": OPEN}
    if not ours or (target.over and not over):
        return row
    found = Spread.of(paired(ours, over) if over else ours)
    reached = found.median >= target.bound if target.sense == AT_LEAST else found.median <= target.bound
    return row | {
        "value": found.median,
        "low": found.low,
        "high": found.high,
        "verdict": REACHED if reached else MISSED,
    }


def scaling_row(along: str, sizes: list[float], rounds: list[list[float]], bound: float) -> dict[str, Any]:
    """Return the exponent of a measure's time over `sizes`, measured in several rounds, and the verdict."""
    found = Spread.of([exponent(sizes, seconds) for seconds in rounds])
    verdict = REACHED if found.median <= bound else MISSED
    figures = {"exponent": found.median, "low": found.low, "high": found.high, "bound": bound, "verdict": verdict}
    return {"along": along, "sizes": sizes, "seconds": rounds, **figures}


def ceiling(libraries: list[dict[str, dict[str, float]]]) -> float:
    """Return the rate that all kernels of a step allow, each at the best rate any library reached.

    libraries: of each, {kernel: {"seconds": of one unit of work}}.
    """
    return 1 / sum(min(kernels[name]["seconds"] for kernels in libraries) for name in libraries[0])


def text(value: float) -> str:
    """Return a figure with as many digits as tell something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread_text(median: float, low: float, high: float) -> str:
    """Return the median, and from where to where the repetitions went."""
    return f"{text(median)} [{text(low)}, {text(high)}]"
