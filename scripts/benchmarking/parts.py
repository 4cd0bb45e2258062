"""The project's own implementations among networks: training V, encoding, training M.

A part takes a `Job` and returns what measures once. Told variant "scaling", the number it is given is a size, else the
number of the repetition. Work in memory only, made of random numbers.
"""

from __future__ import annotations

import functools

import numpy as np
from benchmarking.ceilings import ENCODING_BATCH, RNN_ROWS, RNN_STEPS, VAE_BATCH
from benchmarking.workers import Job, Measure

from rnn.batches import Batch
from rnn.config import RNNConfig
from vae.config import VAEConfig


def random_frames(count: int) -> np.ndarray:
    """Frames uint8 [count, 64, 64, 3] of noise: what they show changes no speed."""
    return np.random.default_rng(0).integers(0, 256, (count, 64, 64, 3), np.uint8)


def vae_training(job: Job) -> Measure:
    """Updates of V on batches in memory, in the precision of the variant; scaling over the batch."""
    from vae.training import VAETrainer, build_vae

    config = VAEConfig(precision="bfloat16" if job.variant == "bfloat16" else "float32")
    trainer = VAETrainer(build_vae(config, 0), config)

    @functools.cache
    def batch(size: int):
        frames, eps = random_frames(size), np.zeros((size, config.z_size), np.float32)
        trainer.update(frames, eps)
        return frames, eps

    def measure(number: int) -> dict[str, float]:
        frames, eps = batch(number if job.variant == "scaling" else VAE_BATCH)
        return job.rates(lambda: float(trainer.update(frames, eps).total), len(frames))

    batch(VAE_BATCH)
    return measure


def vae_encoding(job: Job) -> Measure:
    """Encoding batches in memory, in the precision of the variant; scaling over the batch."""
    from rnn.encoding import compile_encoder
    from vae.model import VAE

    encode = compile_encoder(VAE(64, precision="bfloat16" if job.variant == "bfloat16" else "float32"))
    batch = functools.cache(random_frames)

    def measure(number: int) -> dict[str, float]:
        frames = batch(number if job.variant == "scaling" else ENCODING_BATCH)
        return job.rates(lambda: encode(frames)[0].numpy(), len(frames))

    encode(batch(ENCODING_BATCH))
    return measure


def rnn_batch(rows: int, steps: int) -> Batch:
    """Return a batch of noise for M as Doom's is, with an episode's end every 300 steps."""
    rng = np.random.default_rng(0)
    flags = (rng.random((rows, steps)) < 1 / 300).astype(np.float32)
    z = rng.standard_normal((rows, steps + 1, 64), np.float32)
    action = rng.uniform(-1, 1, (rows, steps, 1)).astype(np.float32)
    return Batch(z, action, flags, flags, *np.ones((2, rows, steps), np.float32), 1 - flags)


def rnn_training(job: Job) -> Measure:
    """Updates of M, in bfloat16 with that variant; scaling over a batch's rows, or ("hidden") over M's hidden units."""
    import tensorflow as tf

    from rnn.training import RNNTrainer, build_rnn

    steps = 25 if job.variant in ("scaling", "hidden") else RNN_STEPS
    precision = "bfloat16" if job.variant == "bfloat16" else "float32"

    @functools.cache
    def update(rows: int, hidden: int):
        config = RNNConfig(hidden_size=hidden, batch_size=rows, sequence_length=steps, precision=precision)
        trainer, batch = RNNTrainer(build_rnn(config, 64, 1, 0), config), rnn_batch(rows, steps)
        rate = tf.constant(1e-4)
        trainer.update(batch, rate)
        return lambda: float(trainer.update(batch, rate).total)

    def measure(number: int) -> dict[str, float]:
        rows = number if job.variant == "scaling" else RNN_ROWS
        hidden = number if job.variant == "hidden" else 512
        found = job.rates(update(rows, hidden), rows * steps)
        return found | ({"operations": step_operations(hidden)} if job.variant == "hidden" else {})

    return measure


def step_operations(hidden: int) -> float:
    """Multiplications and additions in the products of a step of M with so many hidden units."""
    from benchmarking.ceilings import dream

    return sum(kernel.work.operations for kernel in list(dream(hidden=hidden))[:3]) / 64
