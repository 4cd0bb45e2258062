"""The mixture density head: layout, distribution, sampling at a temperature, and the loss of M."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from rnn import mdn
from rnn.losses import mdnrnn_loss
from rnn.mdn import MDNParameters


def random_params(shape: tuple[int, ...], mixtures: int = 5, z_size: int = 3, done: bool = False) -> MDNParameters:
    rng = np.random.default_rng(3)
    parts = rng.normal(size=(3, *shape, mixtures, z_size)).astype(np.float32)
    logit = tf.constant(rng.normal(size=shape), tf.float32) if done else None
    return MDNParameters(*(tf.constant(part) for part in parts), done_logit=logit)


def test_layout_of_the_head():
    raw = np.arange(2 * 13, dtype=np.float32).reshape(2, 13)  # Z 2, K 2, done
    params = mdn.split_head(tf.constant(raw), 2, 2)
    assert np.array_equal(params.logmix[0], [[0, 1], [2, 3]])  # component 0 of both dimensions, then component 1
    assert np.array_equal(params.mean[0], [[4, 5], [6, 7]])
    assert np.array_equal(params.logstd[1], [[21, 22], [23, 24]])
    assert np.array_equal(params.done_logit, [12, 25])
    rewarded = mdn.split_head(tf.constant(np.append(raw, raw[..., :1] + 7, axis=-1)), 2, 2, reward_head=True)
    assert np.array_equal(rewarded.done_logit, params.done_logit)
    assert np.array_equal(rewarded.reward, raw[..., 0] + 7)
    assert (
        mdn.head_size(2, 2, True, True) == 14 and mdn.head_size(2, 2, True) == 13 and mdn.head_size(64, 5, True) == 961
    )


def test_layout_over_time_and_without_done():
    params = mdn.split_head(tf.zeros((4, 6, 12)), 2, 2)
    assert params.mean.shape == (4, 6, 2, 2) and params.done_logit is None


def test_head_of_another_width_is_refused():
    with pytest.raises(ValueError, match="14 wide"):
        mdn.split_head(tf.zeros((1, 14)), 2, 2)


def test_component_probabilities_are_the_distribution_s():
    params = random_params((4,))
    exponentials = np.exp(np.asarray(params.logmix, np.float64))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True)
    family = mdn.mixture(params)
    assert family.batch_shape == (4, 3)
    assert np.allclose(np.swapaxes(family.mixture_distribution.probs_parameter(), 1, 2), expected, atol=1e-6)
    assert np.allclose(np.swapaxes(family.components_distribution.stddev(), 1, 2), np.exp(params.logstd), rtol=1e-6)


def test_likelihood_against_scipy():
    params, z = random_params((2, 4)), np.random.default_rng(4).normal(size=(2, 4, 3))
    logmix, mean, logstd = (np.asarray(part, np.float64) for part in params[:3])
    weights = np.exp(logmix) / np.exp(logmix).sum(axis=-2, keepdims=True)
    density = (weights * stats.norm.pdf(z[..., None, :], mean, np.exp(logstd))).sum(axis=-2)
    nll = mdn.negative_log_likelihood(params, tf.constant(z, tf.float32))
    assert nll.shape == (2, 4, 3)
    assert np.allclose(nll, -np.log(density), rtol=1e-4, atol=1e-5)


def test_likelihood_worked_out_by_hand():
    """Weights 3/4 and 1/4, means 0 and 2, deviations 1: at 1 both components give the same density."""
    params = MDNParameters(
        tf.constant([[[np.log(3.0)], [0.0]]], tf.float32), tf.constant([[[0.0], [2.0]]]), tf.zeros((1, 2, 1)), None
    )
    assert np.allclose(mdn.negative_log_likelihood(params, tf.ones((1, 1))), 0.5 + 0.5 * np.log(2 * np.pi))


def test_every_dimension_has_a_mixture_of_its_own():
    params, z = random_params((4,)), tf.zeros((4, 3))
    changed = [tf.concat([part[..., :2], part[..., 2:] + 1.0], axis=-1) for part in params[:3]]
    before = mdn.negative_log_likelihood(params, z)
    after = mdn.negative_log_likelihood(MDNParameters(*changed, None), z)
    assert np.array_equal(before[:, :2], after[:, :2])
    assert np.all(np.abs(before[:, 2] - after[:, 2]) > 1e-3)


def one_mixture(weights, means=None) -> MDNParameters:
    """A single latent dimension; component k has mean k and deviation 1 unless said."""
    count = len(weights)
    with np.errstate(divide="ignore"):
        logmix = np.maximum(np.log(np.float32(weights)), -1e9).reshape(1, count, 1)
    mean = np.float32(range(count) if means is None else means).reshape(1, count, 1)
    return MDNParameters(*(tf.constant(part, tf.float32) for part in (logmix, mean, np.zeros_like(mean))), None)


def draw(params, temperature, uniforms, normals=None):
    """Samples of one mixture for many draws: [N]."""
    count = len(uniforms)
    many = MDNParameters(*(tf.repeat(part, count, axis=0) for part in params[:3]), None)
    noise = np.zeros(count) if normals is None else normals
    uniforms, noise = (tf.constant(np.reshape(values, (count, 1)), tf.float32) for values in (uniforms, noise))
    return np.asarray(mdn.sample(many, temperature, uniforms, noise))[:, 0]


def test_uniforms_choose_components_by_their_cumulative_weights():
    chosen = draw(one_mixture([0.25, 0.5, 0.25]), 1.0, [0.0, 0.2, 0.26, 0.5, 0.74, 0.76, 0.99])
    assert np.array_equal(chosen, [0, 0, 1, 1, 1, 2, 2])


def test_extreme_uniforms_choose_a_component_that_has_weight():
    largest = 1.0 - 2.0**-24  # the largest float32 below 1
    assert np.array_equal(draw(one_mixture([0.0, 0.5, 0.5, 0.0]), 1.0, [0.0, largest]), [1, 2])
    for weights in ([0.1] * 10, [0.3, 0.3, 0.4], [1.0], [0.2, 0.2, 0.2, 0.2, 0.2]):
        assert np.array_equal(draw(one_mixture(weights), 1.0, [0.0, largest, 1.0]), [0] + [len(weights) - 1] * 2)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 1.3])
def test_samples_are_distributed_as_the_mixture(temperature):
    """Kolmogorov-Smirnov against the distribution's own cumulative function, at the temperature."""
    rng = np.random.default_rng(7)
    params = one_mixture([0.2, 0.5, 0.3], [-3.0, 0.0, 4.0])
    params = params._replace(logstd=tf.constant([[[-0.5], [0.2], [0.0]]]))
    samples = draw(params, temperature, rng.random(20_000), rng.standard_normal(20_000))
    scaled = params._replace(logmix=params.logmix / temperature, logstd=params.logstd + 0.5 * np.log(temperature))
    family = mdn.mixture(scaled)
    result = stats.kstest(samples, lambda x: np.asarray(family.cdf(tf.constant(x, tf.float32)[:, None]))[:, 0])
    assert result.pvalue > 0.01
    other = mdn.mixture(params if temperature != 1.0 else scaled._replace(mean=scaled.mean + 0.3))
    wrong = stats.kstest(samples, lambda x: np.asarray(other.cdf(tf.constant(x, tf.float32)[:, None]))[:, 0])
    assert wrong.pvalue < 1e-6  # the test can tell


def test_samples_have_the_moments_of_the_family_s_own():
    rng, params = np.random.default_rng(8), random_params((1,), z_size=1)
    samples = draw(params, 1.0, rng.random(50_000), rng.standard_normal(50_000))
    theirs = np.asarray(mdn.mixture(params).sample(50_000, seed=1))[:, 0, 0]
    error = 5 * theirs.std() * np.sqrt(2 / 50_000)
    assert abs(samples.mean() - theirs.mean()) < error
    assert abs(samples.std() / theirs.std() - 1) < 0.03


def test_temperature():
    rng = np.random.default_rng(9)
    params = one_mixture([0.8, 0.2], [0.0, 100.0])
    uniforms, normals = rng.random(50_000), rng.standard_normal(50_000)
    for temperature in (0.1, 0.5, 1.0, 2.0):
        samples = draw(params, temperature, uniforms, normals)
        far = samples > 50
        assert np.mean(far) == pytest.approx(1 / (1 + 4 ** (1 / temperature)), abs=0.01)
        assert samples[~far].std() == pytest.approx(np.sqrt(temperature), rel=0.02)
    certain = draw(params, 1e-6, uniforms, normals)
    assert np.all(np.abs(certain) < 0.01)  # the likeliest component, and no noise


def test_sampling_in_a_graph_with_a_tensor_for_temperature():
    params, noise = random_params((4,)), tf.fill((4, 3), 0.3)
    compiled = tf.function(lambda tau: mdn.sample(params, tau, noise, noise))
    assert np.allclose(compiled(tf.constant(1.2)), mdn.sample(params, 1.2, noise, noise), atol=1e-6)


def test_done_cross_entropy_worked_out_by_hand():
    costs = mdn.done_cross_entropy(tf.constant([0.0, 0.0, 50.0, -50.0]), tf.constant([1.0, 0.0, 1.0, 1.0]))
    assert np.allclose(costs, [10 * np.log(2), np.log(2), 0.0, 500.0], atol=1e-5)
    assert np.allclose(mdn.done_cross_entropy(tf.zeros(1), tf.ones(1), positive_weight=3.0), 3 * np.log(2))


def unit_params(done: bool) -> MDNParameters:
    """Two steps of a standard normal in one dimension, K 1; the done logit is 0."""
    part = tf.zeros((1, 2, 1, 1))
    return MDNParameters(part, part, part, tf.zeros((1, 2)) if done else None)


def test_loss_worked_out_by_hand():
    z_next, constant = tf.constant([[[1.0], [3.0]]]), 0.5 * np.log(2 * np.pi)
    loss = mdnrnn_loss(unit_params(done=True), z_next, done=tf.constant([[0.0, 1.0]]))
    assert np.allclose(loss.z, constant + (0.5 + 4.5) / 2)
    assert np.allclose(loss.done, 11 / 2 * np.log(2))
    assert np.allclose(loss.total, loss.z + loss.done)
    plain = mdnrnn_loss(unit_params(done=False), z_next)
    assert np.allclose(plain, (loss.z, loss.z, 0.0, 0.0))
    rewarded = mdnrnn_loss(
        unit_params(False)._replace(reward=tf.constant([[1.0, 2.0]])), z_next, reward=tf.zeros((1, 2))
    )
    assert np.allclose(rewarded, (loss.z + 2.5, loss.z, 0.0, 2.5))


def test_masks_leave_steps_out():
    z_next, constant = tf.constant([[[1.0], [3.0]]]), 0.5 * np.log(2 * np.pi)
    params, done = unit_params(done=True), tf.constant([[0.0, 1.0]])
    first, second = tf.constant([[1.0, 0.0]]), tf.constant([[0.0, 1.0]])
    padded = mdnrnn_loss(params, z_next, done, mask=first)
    assert np.allclose(padded[1:3], (constant + 0.5, np.log(2)))
    seam = mdnrnn_loss(params, z_next, done, z_mask=first)
    assert np.allclose(seam[1:3], (constant + 0.5, 11 / 2 * np.log(2)))
    both = mdnrnn_loss(params, z_next, done, mask=first, z_mask=second)
    assert np.allclose(both[1:3], (0.0, np.log(2)))  # no step is left for z
    weighted = mdnrnn_loss(params, z_next, done, positive_weight=1.0)
    assert np.allclose(weighted.done, np.log(2))


def test_rewards_and_the_reward_head_come_together():
    with pytest.raises(ValueError, match="reward"):
        mdnrnn_loss(unit_params(done=False), tf.zeros((1, 2, 1)), reward=tf.zeros((1, 2)))


@pytest.mark.parametrize("done", [True, False])
def test_done_and_the_done_head_come_together(done):
    with pytest.raises(ValueError, match="done"):
        mdnrnn_loss(unit_params(done=not done), tf.zeros((1, 2, 1)), tf.zeros((1, 2)) if done else None)
