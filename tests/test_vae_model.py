"""V: its function, its loss, its initial weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from commands import ROOT
from samples import PRECISIONS_OF_ROWS

from vae.latents import sample_z
from vae.losses import kl_divergence, vae_loss
from vae.model import VAE, PixelConv2DTranspose, ProductConv2D, to_uint8, to_unit
from vae.training import load_vae


def frames(count: int) -> np.ndarray:
    return np.random.default_rng(1).random((count, 64, 64, 3), np.float32)


@pytest.mark.parametrize(("z_size", "parameters"), [(32, 4_348_547), (64, 4_446_915)])
def test_parameter_counts_are_the_published_ones(z_size, parameters):
    assert VAE(z_size).count_params() == parameters


def test_weights_have_stable_names_and_the_published_shapes():
    shapes = {variable.path: tuple(variable.shape) for variable in VAE(32).weights}
    assert shapes["encoder_conv1/kernel"] == (4, 4, 3, 32)
    assert shapes["encoder_conv4/kernel"] == (4, 4, 128, 256)
    assert shapes["mu/kernel"] == shapes["logvar/kernel"] == (1024, 32)
    assert shapes["decoder_dense/kernel"] == (32, 1024)
    assert shapes["decoder_deconv1/kernel"] == (5, 5, 128, 1024)
    assert shapes["decoder_deconv4/kernel"] == (6, 6, 3, 32)
    assert len(shapes) == 22


def test_initial_weights_depend_on_the_seed_alone():
    first = VAE(32, seed=5)
    keras.utils.set_random_seed(99)
    before = np.random.get_state()[1].copy()
    second, other = VAE(32, seed=5), VAE(32, seed=6)
    assert np.array_equal(np.random.get_state()[1], before)
    for a, b, c in zip(first.weights, second.weights, other.weights, strict=True):
        assert np.array_equal(a, b)
        assert ("bias" in a.path) == np.array_equal(a, c)
    assert not np.array_equal(first.mu_layer.kernel, first.logvar_layer.kernel)


def test_shapes_and_ranges():
    model, x = VAE(32), frames(3)
    reconstruction, mu, logvar = model(x, np.zeros((3, 32), np.float32))
    assert reconstruction.shape == (3, 64, 64, 3) and mu.shape == logvar.shape == (3, 32)
    assert np.min(reconstruction) >= 0.0 and np.max(reconstruction) <= 1.0
    assert [variable.dtype for variable in (reconstruction, mu, logvar)] == [tf.float32] * 3
    assert np.array_equal(reconstruction, model.decode(mu))  # no noise: z is mu


def test_layers_follow_the_paper():
    """Without weights only biases are left: relu of them in the encoder, a sigmoid at the decoder's end."""
    model = VAE(4)
    for variable in model.weights:
        variable.assign(np.zeros(variable.shape))
    model.mu_layer.bias.assign([1.0, -2.0, 3.0, 4.0])
    model.decoder_layers[3].bias.assign([0.0, np.log(3.0), -np.log(3.0)])
    mu, logvar = model.encode(frames(2))
    assert np.array_equal(mu, [[1.0, -2.0, 3.0, 4.0]] * 2) and not np.any(logvar)
    assert np.allclose(model.decode(mu), np.broadcast_to([0.5, 0.75, 0.25], (2, 64, 64, 3)))


def test_decoder_dense_is_linear_and_hidden_deconvolutions_are_rectified():
    model = VAE(4)
    assert model.decoder_dense.activation is keras.activations.linear
    names = [layer.activation.__name__ for layer in [*model.encoder_layers, *model.decoder_layers]]
    assert names == ["relu"] * 7 + ["linear"]


def value_and_gradients(call, layer, x):
    x = tf.convert_to_tensor(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = call(layer, x)
        weighted = tf.reduce_sum(y * tf.reshape(tf.cos(tf.range(tf.size(y), dtype=tf.float32)), tf.shape(y)))
    return [y, *tape.gradient(weighted, [x, layer.kernel, layer.bias])]


@pytest.mark.parametrize(
    ("kind", "base", "kernel", "shape"),
    [
        (ProductConv2D, keras.layers.Conv2D, 4, (3, 6, 6, 8)),
        (ProductConv2D, keras.layers.Conv2D, 4, (3, 11, 11, 8)),
        (PixelConv2DTranspose, keras.layers.Conv2DTranspose, 5, (3, 1, 1, 8)),
    ],
)
def test_product_layers_are_keras_own_function(kind, base, kernel, shape):
    rng = np.random.default_rng(2)
    layer = kind(7, kernel, strides=2, activation="relu", bias_initializer=keras.initializers.RandomNormal(seed=1))
    layer.build((None, *shape[1:]))
    x = rng.normal(size=shape).astype(np.float32)
    ours, theirs = (value_and_gradients(call, layer, x) for call in (kind.call, base.call))
    for a, b in zip(ours, theirs, strict=True):
        assert np.allclose(a, b, atol=1e-5)


def test_sample():
    z = VAE.sample(np.float32([[1.0, 2.0]]), np.float32([[0.0, np.log(9.0)]]), np.float32([[0.5, -2.0]]))
    assert np.allclose(z, [[1.5, -4.0]])


def test_divergence_worked_out_by_hand():
    mu, logvar = np.float32([[2.0, 0.0], [0.0, 1.0]]), np.float32([[0.0, 0.0], [np.log(4.0), 0.0]])
    assert np.allclose(kl_divergence(mu, logvar), [2.0, 0.5 * (4 - 1 - np.log(4.0)) + 0.5])


def test_loss_worked_out_by_hand():
    """Halves off at all 12,288 numbers: 3,072. Divergences 8 and 0, the latter floored at 0.5 * 4: mean 5."""
    x = np.zeros((2, 64, 64, 3), np.float32)
    mu = np.float32([[2.0] * 4, [0.0] * 4])
    loss = vae_loss(x, x + 0.5, mu, np.zeros_like(mu), kl_tolerance=0.5)
    assert np.allclose(loss, (3077.0, 3072.0, 5.0))
    assert np.allclose(vae_loss(x, x, mu, np.zeros_like(mu), kl_tolerance=0.0), (4.0, 0.0, 4.0))


def test_below_the_floor_the_divergence_does_not_push():
    mu = tf.Variable([[2.0] * 4, [0.1] * 4])
    x = np.zeros((2, 64, 64, 3), np.float32)
    with tf.GradientTape() as tape:
        loss = vae_loss(x, x, mu, tf.zeros_like(mu), kl_tolerance=0.5)
    assert np.allclose(tape.gradient(loss.total, mu), [[1.0] * 4, [0.0] * 4])


def test_training_lowers_the_loss():
    model, optimizer = VAE(8), keras.optimizers.Adam(1e-3)  # from grey to dark
    x, eps = 0.2 * frames(8), np.zeros((8, 8), np.float32)

    @tf.function
    def update():
        with tf.GradientTape() as tape:
            loss = vae_loss(x, *model(x, eps), 0.5)
        optimizer.apply(tape.gradient(loss.total, model.trainable_variables), model.trainable_variables)
        return loss.total

    losses = [float(update()) for _ in range(8)]
    assert losses[-1] < 0.9 * losses[0]


def test_z_tells_the_frame():
    """The released V: of twelve frames of Doom each is decoded, from its z alone, nearest to itself."""
    with np.load(ROOT / "results" / "doomrnn" / "frames.npz") as stored:
        observations, mu = stored["obs"] / np.float32(255), stored["mu"]
    vae = load_vae(ROOT / "results" / "doomrnn" / "vae")
    decoded = np.asarray(vae.decode(mu))
    errors = np.square(decoded[:, None] - observations[None]).sum((2, 3, 4))
    assert errors.argmin(1).tolist() == list(range(12))
    np.testing.assert_allclose(vae.encode(observations)[0], mu, atol=0.01)


def test_bfloat16_is_the_same_network_rounded():
    exact, rounded = VAE(16), VAE(16, precision="bfloat16")
    x = frames(4)
    mu, logvar = rounded.encode(x)
    assert mu.dtype == logvar.dtype == rounded.decode(mu).dtype == tf.float32
    assert {str(variable.dtype) for variable in rounded.weights} == {"float32"}
    assert 0.0 < np.max(np.abs(mu - exact.encode(x)[0])) < 0.02
    assert np.max(np.abs(rounded.decode(mu) - exact.decode(mu))) < 0.01


def test_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="float16x"):
        VAE(8, precision="float16x")


@pytest.mark.rows
@pytest.mark.parametrize("precision", PRECISIONS_OF_ROWS)
def test_a_row_is_encoded_alike_wherever_it_stands(precision):
    """Bit for bit, in batches of one size: neither its place nor its neighbours matter."""
    model, x = VAE(32, precision=precision), np.asarray(frames(32))
    encode = tf.function(model.encode, input_signature=[tf.TensorSpec([None, 64, 64, 3], tf.float32)])
    whole = [np.asarray(part) for part in encode(x[:16])]
    for shift in (1, 5, 11):
        for part, reference in zip(encode(np.roll(x[:16], shift, axis=0)), whole, strict=True):
            assert np.array_equal(part, np.roll(reference, shift, axis=0)), shift
    mixed = np.concatenate([x[16:25], x[:7]])
    for part, reference in zip(encode(mixed), whole, strict=True):
        assert np.array_equal(np.asarray(part)[9:], reference[:7])


def test_frames_to_units_and_back():
    """uint8 to float32 in [0, 1] and back, the same for every value, rounded to the nearest."""
    frames = np.arange(256, dtype=np.uint8).reshape(4, 8, 8, 1)
    unit = np.asarray(to_unit(frames))
    assert unit.dtype == np.float32 and unit.min() == 0 and unit.max() == 1 and unit.ravel()[51] == np.float32(0.2)
    assert to_uint8(unit).dtype == np.uint8 and np.array_equal(to_uint8(unit), frames)
    assert to_uint8(np.float32([0.4 / 255, 0.6 / 255, 254.6 / 255])).tolist() == [0, 1, 255]


def test_z_is_drawn_alike_by_numpy_and_tensorflow():
    """By hand, with exp(2 ln 3 / 2) = 3; equal to rounding in both libraries; V's own sampling is the same."""
    mu, logvar, eps = np.float32([[1, -2]]), np.float32([[2 * np.log(3), 0]]), np.float32([[2, 0.5]])
    assert np.allclose(sample_z(mu, logvar, eps), [[7, -1.5]])
    assert np.allclose(VAE.sample(mu, logvar, eps), [[7, -1.5]])
    assert sample_z(mu, logvar, eps).dtype == np.float32
