"""Training V from a stream of frames, with held-out losses, checkpoints and exact resume."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from experiment.checkpoints import load_model, save_model
from experiment.errors import InputError
from experiment.keras_settings import adam
from experiment.random_streams import Purpose
from experiment.training_loop import Schedule, train, updates_of
from vae.config import ADVICE, VAEConfig
from vae.frames import FrameStream
from vae.losses import VAELoss, vae_loss
from vae.model import VAE, to_unit

LOG_EVERY = 100  # updates
START = "start"  # of files: the V that a training went on from


def build_vae(config: VAEConfig, seed: int) -> VAE:
    """Return V with the initial weights of this seed."""
    return VAE(config.z_size, seed=Purpose.VAE_WEIGHTS.stream(seed).initial_weights_seed(), precision=config.precision)


def load_vae(folder: Path, precision: str | None = None) -> VAE:
    """Return the trained V of a run's ``vae`` folder, in its own or another `precision`.

    Raises InputError where its files are missing or damaged.
    """
    return load_model(VAE, folder, "weights", ADVICE, precision)


def starting_vae(folder: Path, origin: Path, config: VAEConfig) -> VAE:
    """Return the V that the one in `folder` goes on from: its copy there, which is made of the V in `origin` at first.

    So a training that is resumed needs no other folder. Raises InputError where the one in `origin` is
    missing, damaged, or of another size of z.
    """
    if not (folder / f"{START}.json").exists():
        model = load_model(VAE, origin, "weights", "name a run with a trained V")
        if model.z_size != config.z_size:
            what = f"{origin} has z_size {model.z_size}, not {config.z_size}"
            raise InputError(f"--set vae.start: {what}; name another run, or --set vae.z_size={model.z_size}")
        save_model(folder, START, model)
    return load_model(VAE, folder, START, f"delete {folder} to train again from the start", config.precision)


class VAETrainer:
    """The compiled update and validation of one V, with Adam."""

    def __init__(self, model: VAE, config: VAEConfig):
        self.model, self.config = model, config
        self.optimizer = adam(config.learning_rate)
        self.optimizer.build(model.trainable_variables)
        self.update = tf.function(self._update, autograph=False, reduce_retracing=True)
        self.loss = tf.function(self._loss, autograph=False, reduce_retracing=True)

    @property
    def variables(self) -> list[Any]:
        """Return weights and optimizer state, in the order of checkpoints."""
        return [*self.model.variables, *self.optimizer.variables]

    def _loss(self, frames: tf.Tensor, eps: tf.Tensor) -> VAELoss:
        """Return the loss of frames uint8 [B, 64, 64, 3] with noise eps float32 [B, Z]."""
        scaled = to_unit(frames)
        reconstruction, mu, logvar = self.model(scaled, eps)
        return vae_loss(scaled, reconstruction, mu, logvar, self.config.kl_tolerance)

    def _update(self, frames: tf.Tensor, eps: tf.Tensor) -> VAELoss:
        with tf.GradientTape() as tape:
            loss = self._loss(frames, eps)
        weights = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss.total, weights), weights)
        return loss

    def validate(self, frames: np.ndarray, seed: int) -> dict[str, float]:
        """Return mean losses over held-out frames uint8 [n, 64, 64, 3], with the same noise every time."""
        noise = Purpose.VAE_VALIDATION_NOISE.stream(seed).generator()
        eps = noise.standard_normal((len(frames), self.config.z_size), np.float32)
        size = self.config.batch_size
        parts = [slice(i, i + size) for i in range(0, len(frames), size)]
        losses = np.array([[float(v) for v in self.loss(frames[p], eps[p])] for p in parts])
        weights = np.array([len(frames[p]) for p in parts])
        mean = (losses * weights[:, None]).sum(0) / weights.sum()
        return {f"validation_{name}": float(v) for name, v in zip(VAELoss._fields, mean, strict=True)}


def learning_rate(config: VAEConfig, update: int, total: int) -> float:
    """Return the learning rate of update 1 to `total`: a linear decay from the first to the final one."""
    last = config.final_learning_rate or config.learning_rate
    return config.learning_rate + (last - config.learning_rate) * (update - 1) / max(1, total - 1)


class _Training:
    """V in the shared loop (see `experiment.training_loop.Trainee`)."""

    name, stage, counters = "V", "vae", ("update",)

    def __init__(self, trainer: VAETrainer, data: FrameStream, held_out: np.ndarray, updates: int, seed: int):
        self.trainer, self.data, self.held_out, self.updates, self.seed = trainer, data, held_out, updates, seed
        self.model, self.variables, self.batches = trainer.model, trainer.variables, data.batches

    def update(self, frames: np.ndarray, number: int) -> VAELoss:
        """Make one update on frames uint8 [B, 64, 64, 3], with noise and learning rate of its number."""
        noise = Purpose.VAE_NOISE.stream(self.seed, update=number + 1).generator()
        eps = noise.standard_normal((len(frames), self.model.z_size), np.float32)
        self.trainer.optimizer.learning_rate.assign(learning_rate(self.trainer.config, number + 1, self.updates))
        return self.trainer.update(frames, eps)

    def validate(self) -> dict[str, float]:
        """Return the held-out losses."""
        return self.trainer.validate(self.held_out, self.seed)

    def note(self, values: dict[str, float]) -> str:
        """Return the loss in words."""
        return f"loss {values['total']:.2f}"


def train_vae(
    folder: Path, data: FrameStream, held_out: np.ndarray, config: VAEConfig, seed: int, start: VAE | None = None
) -> dict[str, float]:
    """Train V on `data` into `folder`, from its checkpoint if there is one; return the held-out losses at the end.

    held_out: frames uint8 [n, 64, 64, 3]. start: a V to go on from, in place of a new one. Writes what
    `experiment.training_loop` writes, and raises what it raises.
    """
    updates = updates_of(config.epochs, data.batches_per_epoch)
    schedule = Schedule(
        updates=updates,
        frames=config.batch_size,
        log_every=LOG_EVERY,
        validate_every=config.validate_every,
        checkpoint_seconds=config.checkpoint_seconds,
    )
    trainer = VAETrainer(start or build_vae(config, seed), config)
    return train(folder, _Training(trainer, data, held_out, updates, seed), schedule)
