"""Training M on series in memory, with held-out costs, checkpoints and exact resume."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from experiment.checkpoints import load_model, model_arguments
from experiment.errors import InputError
from experiment.keras_settings import adam
from experiment.random_streams import Purpose
from experiment.training_loop import Schedule, train, updates_of
from rnn.batches import Batch, ConcatenatedBatches, EpisodeBatches
from rnn.config import ADVICE, RNNConfig
from rnn.losses import MDNRNNLoss, mdnrnn_loss
from rnn.model import MDNRNN
from rnn.series import Series
from rnn.step_counter import count_steps, counter, trained_share

LOG_EVERY = 50  # updates
REGIMES = {"concatenated": ConcatenatedBatches, "episodes": EpisodeBatches}
Batches = ConcatenatedBatches | EpisodeBatches


def build_rnn(config: RNNConfig, z_size: int, action_size: int, seed: int) -> MDNRNN:
    """Return M with the initial weights of this seed, one of its units a counter of steps where `config` says so."""
    model = MDNRNN(
        z_size,
        action_size,
        config.hidden_size,
        config.mixtures,
        done_head=config.done_head,
        reward_head=config.reward_head,
        seed=Purpose.RNN_WEIGHTS.stream(seed).initial_weights_seed(),
        precision=config.precision,
    )
    if config.count_steps:
        count_steps(model)
    return model


def load_rnn(folder: Path, precision: str | None = None) -> MDNRNN:
    """Return the trained M of a run's ``rnn`` folder, in its own or another `precision`.

    Raises InputError where its files are missing or damaged.
    """
    return load_model(MDNRNN, folder, "weights", ADVICE, precision)


class RNNTrainer:
    """The compiled update and validation of one M, with Adam, clipped gradients and the carried state."""

    def __init__(self, model: MDNRNN, config: RNNConfig):
        self.model, self.config = model, config
        self.optimizer = adam(config.learning_rate)
        self.optimizer.build(model.trainable_variables)
        self.shares = trained_share(model)
        self.state = [tf.Variable(tf.zeros((config.batch_size, config.hidden_size))) for _ in range(2)]
        self.update = tf.function(self._update, autograph=False, reduce_retracing=True)
        self.loss = tf.function(self._loss, autograph=False, reduce_retracing=True)

    @property
    def variables(self) -> list[Any]:
        """Return weights, optimizer and carried state, in the order of checkpoints."""
        return [*self.model.variables, *self.optimizer.variables, *self.state]

    def restart(self) -> None:
        """Zero the carried state, as at the start of an epoch."""
        for variable in self.state:
            variable.assign(tf.zeros_like(variable))

    def _loss(self, batch: Batch, h: tf.Tensor, c: tf.Tensor) -> tuple[MDNRNNLoss, tf.Tensor, tf.Tensor]:
        """Return the losses of a batch from state h, c [B, H], and the state after it."""
        params, h, c = self.model.sequence(batch.z[:, :-1], batch.action, batch.restart, h, c)
        loss = mdnrnn_loss(
            params,
            batch.z[:, 1:],
            done=batch.done if self.config.done_head else None,
            reward=batch.reward if self.config.reward_head else None,
            mask=batch.mask,
            z_mask=batch.z_mask,
            positive_weight=self.config.done_weight,
        )
        return loss, h, c

    def _update(self, batch: Batch, learning_rate: tf.Tensor) -> MDNRNNLoss:
        """Make one step of Adam on gradients clipped by value; carry the state on to the next batch."""
        with tf.GradientTape() as tape:
            loss, h, c = self._loss(batch, *(tf.convert_to_tensor(v) for v in self.state))
        weights = self.model.trainable_variables
        clip = self.config.clip
        gradients = [tf.clip_by_value(g, -clip, clip) for g in tape.gradient(loss.total, weights)]
        if self.shares:
            gradients = [g * self.shares.get(w.path, 1.0) for g, w in zip(gradients, weights, strict=True)]
        self.optimizer.learning_rate.assign(learning_rate)
        self.optimizer.apply(gradients, weights)
        for variable, value in zip(self.state, (h, c), strict=True):
            variable.assign(value)
        return loss

    def validate(self, batches: Batches) -> dict[str, float]:
        """Return mean losses by name over one epoch of `batches`, with the same noise every time."""
        zero = tf.zeros((batches.batch_size, self.config.hidden_size))
        losses, state = [], (zero, zero)
        for batch in batches.epoch(0):
            loss, *carried = self.loss(batch, *state)
            state = tuple(carried) if batches.carries_state else (zero, zero)
            losses.append([float(v) for v in loss])
        return {name: float(loss) for name, loss in zip(MDNRNNLoss._fields, np.mean(losses, 0), strict=True)}


def learning_rate(config: RNNConfig, update: int) -> float:
    """Return the learning rate of an update from 0 on: (first - last) * decay ** update + last (authors' code)."""
    low = config.minimum_learning_rate
    return (config.learning_rate - low) * config.decay**update + low


def make_batches(series: list[Series], config: RNNConfig, seed: int, new: int = 0, new_share: float = 0.0) -> Batches:
    """Return the training batches of the regime; for `new` and `new_share` see `rnn.batches.draw_episodes`."""
    return _regime(series, config, config.batch_size, config.sequence_length, seed, new, new_share)


def held_out_batches(series: list[Series], config: RNNConfig, seed: int) -> Batches:
    """Return batches over about `validation_frames` held-out frames, with as many rows as these fill."""
    chosen = taken_evenly(series, config.validation_frames)
    frames = sum(map(len, chosen))
    length = min(config.sequence_length, max(1, frames - 1))
    rows = min(config.batch_size, max(1, (frames - 1) // length))
    if config.regime == "episodes":
        rows = len(chosen) // -(-len(chosen) // config.batch_size)  # so that few are left over: 50 are 2 batches of 25
    return _regime(chosen, config, rows, length, seed)


def taken_evenly(series: list[Series], frames: int) -> list[Series]:
    """Return episodes of about so many frames, from the whole list: an iteration's holds those of all before it."""
    total, wanted = len(series), math.ceil(frames * len(series) / sum(map(len, series)))
    count = min(wanted, total)
    return [series[(2 * n + 1) * total // (2 * count)] for n in range(count)]


def _regime(
    series: list[Series],
    config: RNNConfig,
    batch_size: int,
    length: int,
    seed: int,
    new: int = 0,
    new_share: float = 0.0,
) -> Batches:
    return REGIMES[config.regime](
        series,
        batch_size=batch_size,
        length=length,
        seed=seed,
        across_seam=config.train_across_seam,
        new=new,
        new_share=new_share,
    )


def _refuse_lost_ends(series: list[Series], config: RNNConfig) -> None:
    """Raise InputError where rows of whole episodes would lose the ends that M is to predict."""
    longest = max(map(len, series))
    if config.regime == "episodes" and config.done_head and longest > config.sequence_length:
        why = f"an episode of {longest:,} steps would lose its end, which M's done head is to learn"
        raise InputError(f"--set rnn.sequence_length={config.sequence_length}: {why}; make it {longest:,} or more")


class _Training:
    """M in the shared loop (see `experiment.training_loop.Trainee`)."""

    name, stage, counters = "M", "rnn", ("update", "best", "worse")

    def __init__(self, trainer: RNNTrainer, data: Batches, held_out: Batches, sources: dict[str, Batches]):
        self.trainer, self.data, self.held_out = trainer, data, {"validation": held_out, **sources}
        self.model, self.variables = trainer.model, trainer.variables

    def batches(self, first: int) -> Iterator[Batch]:
        """Yield batches without end, from number `first` on."""
        epoch, index = divmod(first, self.data.per_epoch)
        while True:
            yield from self.data.epoch(epoch, index)
            epoch, index = epoch + 1, 0

    def update(self, batch: Batch, number: int) -> MDNRNNLoss:
        """Make one update, from the carried state or, where none is carried or an epoch begins, from zero."""
        if number % self.data.per_epoch == 0 or not self.data.carries_state:
            self.trainer.restart()
        return self.trainer.update(batch, tf.constant(learning_rate(self.trainer.config, number), tf.float32))

    def validate(self) -> dict[str, float]:
        """Return the held-out losses, those of each source after those of all."""
        losses = {source: self.trainer.validate(batches) for source, batches in self.held_out.items()}
        return {f"{source}_{name}": loss for source, found in losses.items() for name, loss in found.items()}

    def note(self, values: dict[str, float]) -> str:
        """Return the two losses of the paper's M in words."""
        return f"z {values['z']:.4f} done {values['done']:.4f}"


def _fit(start: MDNRNN, wanted: MDNRNN, config: RNNConfig) -> None:
    """Give the M that goes on a counter of steps where `config` wants one; InputError where it cannot go on so."""
    has, asked = model_arguments(start), model_arguments(wanted)
    if has != asked:
        raise InputError(f"M cannot go on from one of another shape: {has}, requested {asked}")
    if counter(start) is None and config.count_steps:
        count_steps(start)
    elif counter(start) is not None and not config.count_steps:
        raise InputError("--set rnn.count_steps=false: the M that goes on counts steps; leave it out")


def train_rnn(
    folder: Path,
    training: list[Series],
    held_out: list[Series],
    config: RNNConfig,
    seed: int,
    start: MDNRNN | None = None,
    new: int = 0,
    new_share: float = 0.0,
    sources: dict[str, list[Series]] | None = None,
) -> dict[str, float]:
    """Train M into `folder`, from its checkpoint if there is one; return the held-out losses of the kept weights.

    start: an M to go on from, in place of a new one, and which is changed; InputError where it is of another shape.
    new, new_share: how many of `training`, the first ones, are the newest, and the share of a batch that is theirs.
    sources: parts of `held_out`, whose losses are recorded as ``<source>_<loss>`` at each validation, too. Writes what
    `experiment.training_loop` writes, and raises what it raises. With 0 epochs M keeps its initial weights.
    """
    _refuse_lost_ends([*training, *held_out], config)
    batches, tests = make_batches(training, config, seed, new, new_share), held_out_batches(held_out, config, seed)
    parts = {name: held_out_batches(series, config, seed) for name, series in (sources or {}).items()}
    model = build_rnn(config, training[0].mu.shape[1], training[0].action.shape[1], seed)
    if start is not None:
        _fit(start, model, config)
    schedule = Schedule(
        updates=updates_of(config.epochs, batches.per_epoch),
        frames=config.batch_size * config.sequence_length,
        log_every=LOG_EVERY,
        validate_every=config.validate_every,
        checkpoint_seconds=config.checkpoint_seconds,
        patience=config.patience,
        trained_before=start is not None,
    )
    return train(folder, _Training(RNNTrainer(start or model, config), batches, tests, parts), schedule)
