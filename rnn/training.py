"""Training M on series in memory, with held-out costs, checkpoints and exact resume."""

import math
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiment.checkpoints import load_checkpoint, load_model, model_arguments, save_checkpoint, save_model
from experiment.errors import InputError, check_losses
from experiment.interrupts import Interrupt, deferred_interrupts
from experiment.metrics import Metrics
from experiment.progress import Progress
from experiment.random_streams import Purpose, seed_sequence
from rnn.batches import Batch, ConcatenatedBatches, EpisodeBatches
from rnn.config import ADVICE, RNNConfig
from rnn.losses import MDNRNNLoss, mdnrnn_loss
from rnn.model import MDNRNN
from rnn.series import Series

LOG_EVERY = 50  # updates
REGIMES = {"concatenated": ConcatenatedBatches, "episodes": EpisodeBatches}
Batches = ConcatenatedBatches | EpisodeBatches


def build_rnn(config: RNNConfig, z_size: int, action_size: int, seed: int) -> MDNRNN:
    """M with the initial weights of this seed."""
    word = int(seed_sequence(seed, Purpose.RNN).generate_state(1)[0])
    sizes = (z_size, action_size, config.hidden_size, config.mixtures, config.done_head)
    return MDNRNN(*sizes, seed=word, precision=config.precision, reward_head=config.reward_head)


def load_rnn(folder: Path, precision: str | None = None) -> MDNRNN:
    """The trained M of a run's ``rnn`` folder, in its own or another `precision`."""
    return load_model(MDNRNN, folder, "weights", ADVICE, precision)


class RNNTrainer:
    """The compiled update and validation of one M."""

    def __init__(self, model: MDNRNN, config: RNNConfig):
        self.model, self.config = model, config
        self.optimizer = keras.optimizers.Adam(config.learning_rate)
        self.optimizer.build(model.trainable_variables)
        self.state = [tf.Variable(tf.zeros((config.batch_size, config.hidden_size))) for _ in range(2)]
        self.update = tf.function(self._update, reduce_retracing=True)
        self.loss = tf.function(self._loss, reduce_retracing=True)

    @property
    def variables(self) -> list[Any]:
        """Weights, optimizer and carried state, as checkpoints hold them."""
        return [*self.model.variables, *self.optimizer.variables, *self.state]

    def restart(self) -> None:
        """Zero the carried state, as at the start of an epoch."""
        for variable in self.state:
            variable.assign(tf.zeros_like(variable))

    def _loss(self, batch: Batch, h: tf.Tensor, c: tf.Tensor) -> tuple[MDNRNNLoss, tf.Tensor, tf.Tensor]:
        """The costs of a batch from state (h, c) [B, H], and the state after it."""
        params, h, c = self.model.sequence(batch.z[:, :-1], batch.action, batch.restart, h, c)
        targets = batch.done if self.config.done_head else None, batch.mask, batch.z_mask, self.config.done_weight
        reward = batch.reward if self.config.reward_head else None
        return mdnrnn_loss(params, batch.z[:, 1:], *targets, reward), h, c

    def _update(self, batch: Batch, learning_rate: tf.Tensor) -> MDNRNNLoss:
        """One step of Adam on gradients clipped by value; the state goes on to the next batch."""
        with tf.GradientTape() as tape:
            loss, h, c = self._loss(batch, *(tf.convert_to_tensor(v) for v in self.state))
        weights = self.model.trainable_variables
        clip = self.config.clip
        gradients = [tf.clip_by_value(g, -clip, clip) for g in tape.gradient(loss.total, weights)]
        self.optimizer.learning_rate.assign(learning_rate)
        self.optimizer.apply(gradients, weights)
        for variable, value in zip(self.state, (h, c), strict=True):
            variable.assign(value)
        return loss

    def validate(self, batches: Batches) -> dict[str, float]:
        """Mean held-out costs over one epoch of `batches`, the same noise every time."""
        zero = tf.zeros((batches.batch_size, self.config.hidden_size))
        losses, state = [], (zero, zero)
        for batch in batches.epoch(0):
            loss, *carried = self.loss(batch, *state)
            state = tuple(carried) if batches.carries_state else (zero, zero)
            losses.append([float(v) for v in loss])
        return {f"validation_{k}": float(v) for k, v in zip(MDNRNNLoss._fields, np.mean(losses, 0), strict=True)}


def learning_rate(config: RNNConfig, update: int) -> float:
    """(first - last) * decay ** update + last (source: authors' code)."""
    low = config.minimum_learning_rate
    return (config.learning_rate - low) * config.decay**update + low


def make_batches(series: list[Series], config: RNNConfig, seed: int) -> Batches:
    """The training batches of the configured regime."""
    return REGIMES[config.regime](series, config.batch_size, config.sequence_length, seed, config.train_across_seam)


def held_out_batches(series: list[Series], config: RNNConfig, seed: int) -> Batches:
    """Batches over at most `validation_frames` held-out frames, with as many rows as these fill."""
    chosen, frames = [], 0
    for episode in series:
        if frames < config.validation_frames:
            chosen.append(episode)
            frames += len(episode)
    length = min(config.sequence_length, max(1, frames - 1))
    rows = min(config.batch_size, max(1, (frames - 1) // length))
    if config.regime == "episodes":
        rows = min(config.batch_size, len(chosen))
    return REGIMES[config.regime](chosen, rows, length, seed, config.train_across_seam)


def train_rnn(
    folder: Path,
    training: list[Series],
    held_out: list[Series],
    config: RNNConfig,
    seed: int,
    start: MDNRNN | None = None,
) -> dict[str, float]:
    """Train M into `folder`, from its checkpoint if there is one; returns the held-out costs of the kept weights.

    start: an M to go on from, in place of a new one; InputError where it is of another shape.

    Writes ``weights.npz``, ``metrics.jsonl`` and, under way, ``checkpoint.npz``. With `patience` the kept weights are
    those of the lowest held-out loss. Raises NumericalError where a loss is no longer a number; the checkpoint then
    holds the last good weights.
    """
    batches, tests = make_batches(training, config, seed), held_out_batches(held_out, config, seed)
    sizes = training[0].mu.shape[1], training[0].action.shape[1]
    model = build_rnn(config, *sizes, seed)
    if start is not None and model_arguments(start) != (wanted := model_arguments(model)):
        raise InputError(f"M cannot go on from one of another shape: {model_arguments(start)}, asked {wanted}")
    loop = _Loop(folder, RNNTrainer(start or model, config), config, tests)
    total = round(config.epochs * batches.per_epoch)
    frames = config.batch_size * config.sequence_length
    loop.resume()
    with deferred_interrupts() as interrupt, Progress("M", total * frames, "frames", loop.done * frames) as progress:
        while loop.done < total and not loop.stopped:
            epoch, index = divmod(loop.done, batches.per_epoch)
            if index == 0:
                loop.trainer.restart()
            for batch in batches.epoch(epoch, index):
                if not batches.carries_state:
                    loop.trainer.restart()
                loop.step(batch, total, progress, interrupt)
                progress.update(frames, loop.note)
                if loop.done >= total or loop.stopped:
                    break
    return loop.finish()


class _Loop:
    """The bookkeeping around the updates of `train_rnn`."""

    def __init__(self, folder: Path, trainer: RNNTrainer, config: RNNConfig, tests: Batches):
        self.folder, self.trainer, self.config, self.tests = folder, trainer, config, tests
        self.done, self.best, self.worse, self.note = 0, float("inf"), 0, ""
        self.started = self.saved = time.monotonic()

    @property
    def stopped(self) -> bool:
        """Whether the held-out loss has not fallen for `patience` validations."""
        return 0 < self.config.patience <= self.worse

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        counters = load_checkpoint(self.folder, self.trainer.variables, ["update", "best", "worse"])
        if counters:
            self.done, self.best, self.worse = int(counters["update"]), counters["best"], int(counters["worse"])
        self.metrics = Metrics(self.folder, self.done)

    def step(self, batch: Batch, total: int, progress: Progress, interrupt: Interrupt) -> None:
        """One update, and what is due after it: records, validation, checkpoint."""
        loss = self.trainer.update(batch, tf.constant(learning_rate(self.config, self.done), tf.float32))
        self.done += 1
        if not math.isfinite(float(loss.total)):
            self._numbers(loss)
        if self.done % LOG_EVERY == 0 or self.done % self.config.validate_every == 0 or self.done == total:
            values = self._numbers(loss)
            self.note = f"z {values['z']:.4f} done {values['done']:.4f}"
            if self.done % self.config.validate_every == 0 or self.done == total:
                values |= self._validate()
            self.metrics.log(self.done, values, {"frames_per_second": round(progress.rate, 1)})
        if interrupt.requested or time.monotonic() - self.saved > self.config.checkpoint_seconds:
            self._save()
        if interrupt.requested:
            raise KeyboardInterrupt

    def _validate(self) -> dict[str, float]:
        values = self._check(self.trainer.validate(self.tests))
        self.note += f", held out z {values['validation_z']:.4f} done {values['validation_done']:.4f}"
        if values["validation_total"] < self.best:
            self.best, self.worse = values["validation_total"], 0
            if self.config.patience:
                self._keep()
        else:
            self.worse += 1
        return values

    def _keep(self) -> None:
        save_model(self.folder, "weights", self.trainer.model)

    def _save(self) -> None:
        counters = {"update": self.done, "best": self.best, "worse": self.worse}
        save_checkpoint(self.folder, self.trainer.variables, counters)
        self.saved = time.monotonic()

    def _numbers(self, loss: MDNRNNLoss) -> dict[str, float]:
        return self._check({name: float(value) for name, value in loss._asdict().items()})

    def _check(self, values: dict[str, float]) -> dict[str, float]:
        advice = f"{self.folder} keeps the last good checkpoint; delete it and try a smaller rnn.learning_rate"
        return check_losses(values, f"M, update {self.done}", advice)

    def finish(self) -> dict[str, float]:
        """Keep the last weights (unless patience kept the best) and drop the checkpoint."""
        if not self.config.patience:
            self._keep()
        model = load_rnn(self.folder)
        for variable, kept in zip(self.trainer.model.variables, model.variables, strict=True):
            variable.assign(kept)
        (self.folder / "checkpoint.npz").unlink(missing_ok=True)
        return {**self.trainer.validate(self.tests), "updates": self.done, "seconds": time.monotonic() - self.started}
