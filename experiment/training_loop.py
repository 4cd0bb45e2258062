"""The loop that trains a network by gradients: resume, records, validation, checkpoints, interrupts, progress.

V and M are trained by this one loop; what an update computes is theirs (`vae.training`, `rnn.training`). A folder holds
``metrics.jsonl``, ``timing.jsonl``, TensorBoard events, ``weights.npz`` with its JSON and, until its stage is marked
finished, ``checkpoint.npz``. A training that was stopped anywhere and started again ends in the weights and the
metrics of one that was never stopped, byte for byte.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from experiment.checkpoints import begin_again, load_arrays, load_checkpoint, save_checkpoint, save_model
from experiment.errors import check_losses
from experiment.interrupts import Interrupt, deferred_interrupts
from experiment.metrics import Metrics
from experiment.progress import Progress


@dataclass(frozen=True)
class Schedule:
    """How long a training lasts, and what is due when.

    updates: of the whole training; 0 validates the initial weights and keeps them. frames: read by each update.
    log_every, validate_every: updates between records of the losses, and between validations (both are also due after
    the last update). checkpoint_seconds: between checkpoints. patience: stop after so many validations without a lower
    held-out loss, and keep the weights of the lowest; 0 trains to the end and keeps the last. trained_before: with
    `patience` the weights that it begins with are validated, too, and kept where none is better.
    """

    updates: int
    frames: int
    log_every: int
    validate_every: int
    checkpoint_seconds: float
    patience: int = 0
    trained_before: bool = False


def updates_of(epochs: float, per_epoch: int) -> int:
    """Return the updates of so many passes of `per_epoch` each: at least one, but for no pass at all."""
    return max(1, round(epochs * per_epoch)) if epochs else 0


class Trainee(Protocol):
    """A network, its optimizer and its data, as the loop sees them.

    name: in messages ("V"). stage: whose settings train it ("vae"). counters: the names of what its checkpoints count,
    "update" and, where `patience` may be set, "best" and "worse". model: a Keras model with ``ARGUMENTS``. variables:
    all that an interrupted training goes on from, in a fixed order.
    """

    name: str
    stage: str
    counters: tuple[str, ...]
    model: Any
    variables: list[Any]

    def batches(self, first: int) -> Iterator[Any]:
        """Yield the batches of updates `first`, `first` + 1, ..., counted from 0; at least as many as there will be."""

    def update(self, batch: Any, number: int) -> NamedTuple:
        """Make update `number` (from 0) and return its losses, scalars with one named ``total`` among them."""

    def validate(self) -> dict[str, float]:
        """Return the held-out losses, as ``validation_<name>``."""

    def note(self, values: dict[str, float]) -> str:
        """Return the few words on these losses that progress shows."""


def train(folder: Path, trainee: Trainee, schedule: Schedule) -> dict[str, float]:
    """Train into `folder`, from its checkpoint if there is one; return the held-out losses of the kept weights.

    The returned values also hold ``updates`` and ``seconds`` (of this call).

    Raises:
        NumericalError: a loss is no longer a number; the checkpoint then holds the last good weights.
        InputError: the checkpoint is damaged.
        KeyboardInterrupt: the user stopped it; everything is saved.
    """
    return _Loop(folder, trainee, schedule).run()


class _Loop:
    """One call of `train`."""

    def __init__(self, folder: Path, trainee: Trainee, schedule: Schedule):
        self.folder, self.trainee, self.schedule = folder, trainee, schedule
        self.done, self.best, self.worse, self.note = 0, math.inf, 0, ""
        self.held_out: dict[str, float] | None = None  # the losses of the weights as they are now, where known
        self.started = self.saved = time.monotonic()

    def run(self) -> dict[str, float]:
        self._resume()
        total, frames = self.schedule.updates, self.schedule.frames
        progress = Progress(self.trainee.name, total * frames, "frames", self.done * frames)
        with deferred_interrupts() as interrupt, progress:
            if total == 0:
                self.metrics.log(0, self._validate())
            elif not self._stopped:
                if self.done == 0 and self.schedule.patience and self.schedule.trained_before:
                    self.metrics.log(0, self._validate())
                self._updates(progress, interrupt)
        return self._finish()

    def _updates(self, progress: Progress, interrupt: Interrupt) -> None:
        batches = self.trainee.batches(self.done)
        for _, batch in zip(range(self.done, self.schedule.updates), batches, strict=False):
            self._update(batch, progress)
            if interrupt.requested or time.monotonic() - self.saved > self.schedule.checkpoint_seconds:
                self._save()
            if interrupt.requested:
                raise KeyboardInterrupt
            progress.update(self.schedule.frames, self.note)
            if self._stopped:
                break

    @property
    def _stopped(self) -> bool:
        """Whether the held-out loss has not fallen for `patience` validations."""
        return 0 < self.schedule.patience <= self.worse

    def _resume(self) -> None:
        counters = load_checkpoint(self.folder, self.trainee.variables, list(self.trainee.counters))
        if counters:
            self.done = int(counters["update"])
            self.best, self.worse = counters.get("best", self.best), int(counters.get("worse", self.worse))
        before_all = -1  # the only record before the first update is of step 0, and a resume there writes it again
        self.metrics = Metrics(self.folder, self.done or before_all)

    def _update(self, batch: Any, progress: Progress) -> None:
        """Make one update and record what is due after it."""
        loss = self.trainee.update(batch, self.done)
        self.done, self.held_out = self.done + 1, None
        last = self.done == self.schedule.updates
        validates = last or self.done % self.schedule.validate_every == 0
        if validates or self.done % self.schedule.log_every == 0:
            values = self._numbers(loss)
            self.note = self.trainee.note(values)
            if validates:
                values |= self._validate()
            self.metrics.log(self.done, values, {"frames_per_second": round(progress.rate, 1)})
        elif not math.isfinite(float(loss.total)):
            self._numbers(loss)

    def _validate(self) -> dict[str, float]:
        self.held_out = values = self._checked(self.trainee.validate())
        held_out = {name.removeprefix("validation_"): value for name, value in values.items()}
        self.note += f", held out {self.trainee.note(held_out)}"
        if values["validation_total"] < self.best:
            self.best, self.worse = values["validation_total"], 0
            if self.schedule.patience:
                self._keep()
        else:
            self.worse += 1
        return values

    def _numbers(self, loss: NamedTuple) -> dict[str, float]:
        """Return the losses as floats; NumericalError where one is not a number."""
        return self._checked({name: float(value) for name, value in loss._asdict().items()})

    def _checked(self, values: dict[str, float]) -> dict[str, float]:
        smaller = f"try a smaller {self.trainee.stage}.learning_rate"
        return check_losses(values, f"{self.trainee.name}, update {self.done}", begin_again(self.folder, smaller))

    def _keep(self) -> None:
        save_model(self.folder, "weights", self.trainee.model)

    def _save(self) -> None:
        counts = {"update": self.done, "best": self.best, "worse": self.worse}
        save_checkpoint(self.folder, self.trainee.variables, {name: counts[name] for name in self.trainee.counters})
        self.saved = time.monotonic()

    def _finish(self) -> dict[str, float]:
        """Return the losses of the weights to keep (with `patience`, the best ones, kept already)."""
        if self.schedule.patience:
            load_arrays(self.folder, "weights", self.trainee.model.variables, f"delete {self.folder} to train again")
            self.held_out = None
        validation = self.held_out or self._checked(self.trainee.validate())  # none in hand after a resume at the end
        if not self.schedule.patience:
            self._keep()
        return {**validation, "updates": self.done, "seconds": time.monotonic() - self.started}
