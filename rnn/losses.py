"""The loss of M: negative log-likelihood of the next z, and the cross-entropy of the end of the episode.

Letters: B batch, T time, Z latent size. Source: World Models (Ha & Schmidhuber 2018), appendix A.2, and the authors'
code for the weight of the positives.
"""

from typing import Any, NamedTuple

from keras import ops

from rnn.mdn import MDNParameters, done_cross_entropy, negative_log_likelihood

Tensor = Any


class MDNRNNLoss(NamedTuple):
    """The loss of one batch; every field is a float32 scalar in nats.

    total: z + done + reward, what is minimised.
    z: negative log-likelihood of the next z, mean over steps and latent dimensions.
    done: weighted cross-entropy of the end of the episode, mean over steps; 0 for a head without a done logit.
    reward: squared error of the reward, mean over steps; 0 for a head that predicts none.
    """

    total: Tensor
    z: Tensor
    done: Tensor
    reward: Tensor


def mdnrnn_loss(
    params: MDNParameters,
    z_next: Tensor,
    done: Tensor | None = None,
    *,
    reward: Tensor | None = None,
    mask: Tensor | None = None,
    z_mask: Tensor | None = None,
    positive_weight: float = 10.0,
) -> MDNRNNLoss:
    """Return the loss of M on a batch of sequences.

    params: M's predictions [B, T, ...]; z_next [B, T, Z]: the true next latent vectors.
    done: [B, T], 1 where the episode ended with the step; needed where params has a done logit.
    mask: [B, T], 1 for steps that count, 0 for padding; None counts every step.
    z_mask: [B, T], the same for the z term alone, on top of mask: 0 at an episode boundary.
    positive_weight: see `rnn.mdn.done_cross_entropy`.
    reward: [B, T], of each step; needed where params has a reward.
    Raises ValueError where done is given without a done logit or the reverse; likewise the reward.
    """
    if (params.done_logit is None) != (done is None):
        raise ValueError("a head with a done logit needs done, and a head without one takes none")
    if (params.reward is None) != (reward is None):
        raise ValueError("a head with a reward needs rewards, and a head without one takes none")
    z_loss = _masked_mean(ops.mean(negative_log_likelihood(params, z_next), axis=-1), _both(mask, z_mask))
    done_loss = reward_loss = ops.zeros_like(z_loss)
    if done is not None:
        done_loss = _masked_mean(done_cross_entropy(params.done_logit, done, positive_weight), mask)
    if reward is not None:
        reward_loss = _masked_mean(ops.square(params.reward - reward), mask)
    return MDNRNNLoss(total=z_loss + done_loss + reward_loss, z=z_loss, done=done_loss, reward=reward_loss)


def _both(mask: Tensor | None, other: Tensor | None) -> Tensor | None:
    if mask is None or other is None:
        return mask if other is None else other
    return mask * other


def _masked_mean(values: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean of values [B, T] over the steps of mask [B, T]; 0 where the mask is empty."""
    if mask is None:
        return ops.mean(values)
    return ops.sum(values * mask) / ops.maximum(ops.sum(mask), 1.0)
