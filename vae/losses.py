"""The loss of V: squared error of the pixels and a floored Kullback-Leibler divergence.

Letters: B batch, Z latent size. Source: World Models (Ha & Schmidhuber 2018), appendix A.1, and the authors' code
for the floor, which the paper does not mention.
"""

from typing import Any, NamedTuple

from keras import ops

Tensor = Any


class VAELoss(NamedTuple):
    """The loss of one batch; every field is a float32 scalar, averaged over the batch.

    total: reconstruction + kl, what is minimised.
    reconstruction: squared error summed over pixels and channels.
    kl: Kullback-Leibler divergence to the unit normal in nats, floored for each frame.
    """

    total: Tensor
    reconstruction: Tensor
    kl: Tensor


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """Return the divergence in nats [B] of N(mu, exp(logvar)) from N(0, 1), summed over Z; mu, logvar [B, Z]."""
    return -0.5 * ops.sum(1.0 + logvar - ops.square(mu) - ops.exp(logvar), axis=-1)


def vae_loss(frames: Tensor, reconstruction: Tensor, mu: Tensor, logvar: Tensor, kl_tolerance: float = 0.5) -> VAELoss:
    """Return the loss of V on a batch.

    frames, reconstruction: [B, 64, 64, 3] in [0, 1]; mu, logvar: [B, Z].
    kl_tolerance: nats for each latent dimension; a frame's divergence counts as at least kl_tolerance * Z, so
        that below this floor no gradient pulls z towards the prior (authors' code, 0.5).
    """
    squared_error = ops.mean(ops.sum(ops.square(frames - reconstruction), axis=(1, 2, 3)))
    floor = kl_tolerance * mu.shape[-1]
    kl = ops.mean(ops.maximum(kl_divergence(mu, logvar), floor))
    return VAELoss(total=squared_error + kl, reconstruction=squared_error, kl=kl)
