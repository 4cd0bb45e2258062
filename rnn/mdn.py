"""The mixture density head: a one-dimensional mixture of normals for every latent dimension.

Letters: Z latent size, K mixtures; `...` is any leading batch shape, [B] or [B, T]. Source: World Models (Ha &
Schmidhuber 2018), appendix A.2, and the authors' code.

Layout of the head's raw output (ours): the columns are [logmix, mean, logstd], K * Z each, K before Z, so that
component k of all latent dimensions is one contiguous run; then, where there are such, the done logit and the
reward. With the latent axis last, sums and choices over the components are vector operations. For the authors' layout
see `rnn.released_weights`.
"""

from typing import Any, NamedTuple

import tensorflow as tf
import tensorflow_probability as tfp
from keras import ops

tfd = tfp.distributions
Tensor = Any


class MDNParameters(NamedTuple):
    """M's prediction of the next step.

    logmix: [..., K, Z] unnormalised log weights of the components.
    mean, logstd: [..., K, Z] of the components; logstd is the natural logarithm of the standard deviation.
    done_logit: [...] logit of the episode ending with the next step, or None for a head without it.
    reward: [...] expected reward of the step, or None for a head without it (ours; the paper's M predicts none).
    """

    logmix: Tensor
    mean: Tensor
    logstd: Tensor
    done_logit: Tensor | None
    reward: Tensor | None = None


def head_size(z_size: int, mixtures: int, done_head: bool, reward_head: bool = False) -> int:
    """Return the width of the head's raw output: 3 * K * Z, 1 for the done logit and 1 for the reward."""
    return 3 * mixtures * z_size + int(done_head) + int(reward_head)


def split_head(raw: Tensor, z_size: int, mixtures: int, reward_head: bool = False) -> MDNParameters:
    """Split the head's output raw [..., 3 * K * Z], one wider with a done logit and one with a reward, into parts.

    Raises ValueError where the width fits neither with a done logit nor without.
    """
    size = z_size * mixtures
    extra = raw.shape[-1] - 3 * size - int(reward_head)
    if extra not in (0, 1):
        known = 3 * size + int(reward_head)
        raise ValueError(f"the head is {raw.shape[-1]} wide, expected {known} or {known + 1}")
    shape = (*ops.shape(raw)[:-1], mixtures, z_size)
    # one split, not three slices: its gradient is one concatenation, and not a sum of padded tensors
    *parts, rest = ops.split(raw, [size, 2 * size, 3 * size], axis=-1)
    parts = [ops.reshape(part, shape) for part in parts]
    return MDNParameters(*parts, rest[..., 0] if extra else None, rest[..., -1] if reward_head else None)


def mixture(params: MDNParameters) -> tfd.MixtureSameFamily:
    """Return the distribution of the next z: batch shape [..., Z], a scalar mixture of K normals per dimension."""
    logits, loc, logstd = (_mixtures_last(part) for part in params[:3])
    return tfd.MixtureSameFamily(
        mixture_distribution=tfd.Categorical(logits=logits),
        components_distribution=tfd.Normal(loc=loc, scale=tf.exp(logstd)),
    )


def negative_log_likelihood(params: MDNParameters, z_next: Tensor) -> Tensor:
    """Return -log p(z_next) in nats [..., Z], a term for each latent dimension; z_next [..., Z]."""
    return -mixture(params).log_prob(z_next)


def sample(params: MDNParameters, temperature: Tensor, uniforms: Tensor, normals: Tensor) -> Tensor:
    """Return the next z [..., Z], drawn at a temperature from the caller's noise.

    temperature: positive scalar; the log weights are divided by it, the standard deviations multiplied by its root
        (paper, appendix A.2; authors' code).
    uniforms: [..., Z] in [0, 1], choose the components by the inverse of their cumulative weights.
    normals: [..., Z] standard normals.

    Only the first K - 1 cumulative weights are compared, so a uniform of 1 selects the last component, however the sums
    were rounded.
    """
    mixtures = params.logmix.shape[-2]
    logits = [params.logmix[..., k, :] / temperature for k in range(mixtures)]
    highest = logits[0]
    for logit in logits[1:]:
        highest = ops.maximum(highest, logit)
    cumulative = [ops.exp(logits[0] - highest)]
    for logit in logits[1:]:
        cumulative.append(cumulative[-1] + ops.exp(logit - highest))
    threshold = uniforms * cumulative[-1]
    mean, logstd = params.mean[..., -1, :], params.logstd[..., -1, :]
    for k in reversed(range(mixtures - 1)):
        chosen = threshold < cumulative[k]
        mean = ops.where(chosen, params.mean[..., k, :], mean)
        logstd = ops.where(chosen, params.logstd[..., k, :], logstd)
    return mean + ops.exp(logstd) * ops.sqrt(ops.convert_to_tensor(temperature, "float32")) * normals


def done_cross_entropy(done_logit: Tensor, done: Tensor, positive_weight: float = 10.0) -> Tensor:
    """Return the cross-entropy in nats [...] of done [...] (0 or 1) under done_logit [...].

    positive_weight: the weight of positives, which are rare, one an episode (authors' code, 10).
    """
    return tf.nn.weighted_cross_entropy_with_logits(labels=done, logits=done_logit, pos_weight=positive_weight)


def _mixtures_last(part: Tensor) -> Tensor:
    """Transpose [..., K, Z] to [..., Z, K], the axis order of TensorFlow Probability."""
    rank = len(part.shape)
    return tf.transpose(part, [*range(rank - 2), rank - 1, rank - 2])
