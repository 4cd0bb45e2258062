"""Training V from a stream of frames, with held-out losses, checkpoints and exact resume."""

import math
import time
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from experiment.checkpoints import load_checkpoint, load_model, save_checkpoint, save_model
from experiment.errors import check_losses
from experiment.interrupts import deferred_interrupts
from experiment.metrics import Metrics
from experiment.progress import Progress
from experiment.random_streams import Purpose, seed_sequence, stream
from vae.config import ADVICE, VAEConfig
from vae.frames import FrameStream
from vae.losses import VAELoss, vae_loss
from vae.model import VAE

LOG_EVERY = 100  # updates


def build_vae(config: VAEConfig, seed: int) -> VAE:
    """V with the initial weights of this seed."""
    return VAE(config.z_size, int(seed_sequence(seed, Purpose.VAE).generate_state(1)[0]), config.precision)


def load_vae(folder: Path, precision: str | None = None) -> VAE:
    """The trained V of a run's ``vae`` folder, in its own or another `precision`."""
    return load_model(VAE, folder, "weights", ADVICE, precision)


class VAETrainer:
    """The compiled update and validation of one V."""

    def __init__(self, model: VAE, config: VAEConfig):
        self.model, self.config = model, config
        self.optimizer = keras.optimizers.Adam(config.learning_rate)
        self.optimizer.build(model.trainable_variables)
        self.update = tf.function(self._update, reduce_retracing=True)
        self.loss = tf.function(self._loss, reduce_retracing=True)

    @property
    def variables(self) -> list[Any]:
        """Weights and optimizer state, as checkpoints hold them."""
        return [*self.model.variables, *self.optimizer.variables]

    def _loss(self, frames: tf.Tensor, eps: tf.Tensor) -> VAELoss:
        """frames uint8 [B, 64, 64, 3], eps float32 [B, Z]."""
        scaled = tf.cast(frames, tf.float32) / 255.0
        reconstruction, mu, logvar = self.model(scaled, eps)
        return vae_loss(scaled, reconstruction, mu, logvar, self.config.kl_tolerance)

    def _update(self, frames: tf.Tensor, eps: tf.Tensor) -> VAELoss:
        with tf.GradientTape() as tape:
            loss = self._loss(frames, eps)
        weights = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss.total, weights), weights)
        return loss

    def validate(self, frames: np.ndarray, seed: int) -> dict[str, float]:
        """Mean losses over held-out frames uint8 [n, 64, 64, 3], with the same noise every time."""
        eps = stream(seed, Purpose.VAE, 6).standard_normal((len(frames), self.config.z_size), np.float32)
        size = self.config.batch_size
        parts = [slice(i, i + size) for i in range(0, len(frames), size)]
        losses = np.array([[float(v) for v in self.loss(frames[p], eps[p])] for p in parts])
        weights = np.array([len(frames[p]) for p in parts])
        mean = (losses * weights[:, None]).sum(0) / weights.sum()
        return {f"validation_{name}": float(v) for name, v in zip(VAELoss._fields, mean, strict=True)}


def learning_rate(config: VAEConfig, update: int, total: int) -> float:
    """The step size of update 1 to `total`: a straight line from the first to the last."""
    last = config.final_learning_rate or config.learning_rate
    return config.learning_rate + (last - config.learning_rate) * (update - 1) / max(1, total - 1)


def train_vae(folder: Path, data: FrameStream, held_out: np.ndarray, config: VAEConfig, seed: int) -> dict[str, float]:
    """Train V on `data` into `folder`, from its checkpoint if there is one; returns the last validation.

    Writes ``weights.npz``, ``metrics.jsonl`` and, under way, ``checkpoint.npz``. Raises NumericalError where the loss
    is no longer a number; the checkpoint then holds the last good weights.
    """
    trainer = VAETrainer(build_vae(config, seed), config)
    counters = load_checkpoint(folder, trainer.variables, ["update"]) or {"update": 0.0}
    first, total = int(counters["update"]), round(config.epochs * data.batches_per_epoch)
    metrics, saved, started = Metrics(folder, first), time.monotonic(), time.monotonic()
    done = first * config.batch_size
    with deferred_interrupts() as interrupt, Progress("V", total * config.batch_size, "frames", done) as progress:
        for update, frames in zip(range(first + 1, total + 1), data.batches(first), strict=False):
            eps = stream(seed, Purpose.VAE, 5, update).standard_normal((len(frames), config.z_size), np.float32)
            trainer.optimizer.learning_rate.assign(learning_rate(config, update, total))
            loss = trainer.update(frames, eps)
            if not math.isfinite(total_loss := float(loss.total)):
                _numbers(loss, update, folder)
            validates = update % config.validate_every == 0 or update == total
            if update % LOG_EVERY == 0 or validates:
                values = _numbers(loss, update, folder)
                if validates:
                    values |= _held_out(trainer, held_out, seed, update, folder)
                metrics.log(update, values, {"frames_per_second": round(progress.rate, 1)})
            if interrupt.requested or time.monotonic() - saved > config.checkpoint_seconds:
                save_checkpoint(folder, trainer.variables, {"update": update})
                saved = time.monotonic()
            if interrupt.requested:
                raise KeyboardInterrupt
            progress.update(len(frames), f"loss {total_loss:.2f}")
    return _finish(folder, trainer, config, held_out, seed, {"updates": total, "seconds": time.monotonic() - started})


def _finish(
    folder: Path, trainer: VAETrainer, config: VAEConfig, held_out: np.ndarray, seed: int, summary: dict[str, float]
) -> dict[str, float]:
    """See how V does on held-out frames, save the weights, and drop the checkpoint."""
    validation = _held_out(trainer, held_out, seed, int(summary["updates"]), folder)
    save_model(folder, "weights", trainer.model)
    (folder / "checkpoint.npz").unlink(missing_ok=True)
    return {**validation, **summary}


def _held_out(trainer: VAETrainer, frames: np.ndarray, seed: int, update: int, folder: Path) -> dict[str, float]:
    return check_losses(trainer.validate(frames, seed), f"V, update {update}", _advice(folder))


def _numbers(loss: VAELoss, update: int, folder: Path) -> dict[str, float]:
    values = {name: float(value) for name, value in loss._asdict().items()}
    return check_losses(values, f"V, update {update}", _advice(folder))


def _advice(folder: Path) -> str:
    return f"{folder} keeps the last good checkpoint; delete it and try a smaller vae.learning_rate"
