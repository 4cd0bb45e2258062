"""Progress with a rate and time left: a bar on a terminal, plain lines elsewhere."""

import sys
import time

from tqdm import tqdm

SECONDS_BETWEEN_LINES = 15.0


class Progress:
    """Counts towards `total` in `unit`s, `done` of them before this call; use as a context manager."""

    def __init__(self, label: str, total: int, unit: str, done: int = 0):
        self.label, self.total, self.unit, self.done = label, total, unit, done
        self._first, self._start, self._printed = done, time.monotonic(), time.monotonic()
        shows_bar = sys.stderr.isatty()
        self._bar = tqdm(total=total, initial=done, unit=unit, desc=label, unit_scale=True) if shows_bar else None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *unused: object) -> None:
        if self._bar is not None:
            self._bar.close()
        else:
            self._line("")

    @property
    def rate(self) -> float:
        """Units per second since the start."""
        return (self.done - self._first) / max(1e-9, time.monotonic() - self._start)

    def update(self, amount: int, note: str = "") -> None:
        """Count `amount` more units, and show `note` after them."""
        self.done += amount
        if self._bar is not None:
            self._bar.set_postfix_str(note, refresh=False)
            self._bar.update(amount)
        elif time.monotonic() - self._printed > SECONDS_BETWEEN_LINES:
            self._line(note)

    def _line(self, note: str) -> None:
        self._printed = time.monotonic()
        left = (self.total - self.done) / self.rate if self.rate > 0 else float("nan")
        end = f", {_clock(left)} left" if self.done < self.total and left == left else ""
        took = _clock(time.monotonic() - self._start)
        speed = f"{self.rate:,.0f}/s" if self.rate >= 10 else f"{60 * self.rate:,.1f}/min"
        text = f"{self.label}: {self.done:,} of {self.total:,} {self.unit}, {speed}, {took}{end}"
        print(f"{text}{'; ' + note if note else ''}", flush=True)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
