"""M: its recurrence and gradients, restarts, initial weights, rows that do not see one another."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from samples import PRECISIONS_OF_ROWS

from rnn.losses import mdnrnn_loss
from rnn.lstm import RestartLSTM
from rnn.mdn import sample
from rnn.model import MDNRNN
from rnn.released_weights import mdnrnn_from_authors, mdnrnn_to_authors

B, T, INPUTS, H = 3, 7, 5, 8


def normal(*shape: int, seed: int = 0) -> tf.Tensor:
    return tf.constant(np.random.default_rng([seed, *shape]).normal(size=shape), tf.float32)


def random_keep() -> tf.Tensor:
    return tf.constant(np.random.default_rng(5).random((B, T)) > 0.3, tf.float32)


@pytest.mark.parametrize(
    ("sizes", "parameters"), [((64, 1, 512, 5, True), 1_678_785), ((32, 3, 256, 5, False), 422_368)]
)
def test_parameter_counts_are_the_published_ones(sizes, parameters):
    assert MDNRNN(*sizes).count_params() == parameters


def test_weights_have_stable_names_and_shapes():
    shapes = {variable.path: tuple(variable.shape) for variable in MDNRNN(64, 1, 512, 5, True).weights}
    assert shapes == {
        "lstm/kernel": (66, 2048),
        "lstm/recurrent_kernel": (512, 2048),
        "lstm/bias": (2048,),
        "head/kernel": (512, 961),
        "head/bias": (961,),
    }


def test_initial_weights():
    first = MDNRNN(4, 1, 16, 5, True, seed=3)
    keras.utils.set_random_seed(99)
    second, other = MDNRNN(4, 1, 16, 5, True, seed=3), MDNRNN(4, 1, 16, 5, True, seed=4)
    for a, b, c in zip(first.weights, second.weights, other.weights, strict=True):
        assert np.array_equal(a, b)
        assert ("bias" in a.path) == np.array_equal(a, c)
    assert np.array_equal(first.lstm.bias, np.repeat([0.0, 1.0, 0.0, 0.0], 16))  # i, f, g, o
    recurrent = np.asarray(first.lstm.recurrent_kernel)
    assert np.allclose(recurrent @ recurrent.T, np.eye(16), atol=1e-5)
    assert 0.2 < np.abs(first.lstm.kernel).max() <= np.sqrt(6 / (6 + 64))


def gradients_of(call, inputs: list, weights: list) -> list:
    """Values, and gradients of a sum in which every number has its own weight, of `call(*inputs)`."""
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        outputs = call(*inputs)
        total = 0.0
        for output in outputs:
            total += tf.reduce_sum(
                output * tf.reshape(tf.cos(tf.range(tf.size(output), dtype=tf.float32)), output.shape)
            )
    return [*outputs, *tape.gradient(total, [*inputs, *weights])]


def test_values_and_gradients_are_keras_lstm_s():
    ours = RestartLSTM(INPUTS, H, seed=1)
    theirs = keras.layers.LSTM(H, return_sequences=True, return_state=True)
    theirs.build((None, None, INPUTS))
    weights = [ours.kernel, ours.recurrent_kernel, ours.bias]
    ours.bias.assign(normal(4 * H))
    theirs.set_weights([np.asarray(weight) for weight in weights])
    inputs = [normal(B, T, INPUTS), normal(B, H), normal(B, H, seed=1)]
    mine = gradients_of(lambda x, h, c: ours.sequence(x, tf.ones((B, T)), h, c), inputs, weights)
    keras_s = gradients_of(lambda x, h, c: theirs(x, initial_state=[h, c]), inputs, theirs.trainable_weights)
    for a, b in zip(mine, keras_s, strict=True):
        assert np.allclose(a, b, atol=2e-5)


def steps(layer: RestartLSTM, keep: tf.Tensor):
    """The sequence as steps, which TensorFlow differentiates by itself."""

    def call(x, h, c):
        hs = []
        for t in range(x.shape[1]):
            h, c = layer.step(x[:, t], keep[:, t : t + 1] * h, keep[:, t : t + 1] * c)
            hs.append(h)
        return tf.stack(hs, axis=1), h, c

    return call


@pytest.mark.parametrize("compiled", [False, True])
def test_sequence_and_its_gradient_are_those_of_the_steps(compiled):
    layer, keep = RestartLSTM(INPUTS, H, seed=2), random_keep()
    inputs = [normal(B, T, INPUTS), normal(B, H), normal(B, H, seed=1)]
    weights = [layer.kernel, layer.recurrent_kernel, layer.bias]
    run = tf.function(lambda x, h, c: layer.sequence(x, keep, h, c)) if compiled else None
    ours = gradients_of(run or (lambda x, h, c: layer.sequence(x, keep, h, c)), inputs, weights)
    plain = gradients_of(steps(layer, keep), inputs, weights)
    assert 0 < np.sum(keep) < keep.numpy().size
    for a, b in zip(ours, plain, strict=True):
        assert np.allclose(a, b, atol=2e-5)


def test_sequence_in_a_graph_that_knows_no_sizes():
    model = MDNRNN(4, 1, 16, 2, True)
    free = [[None, None, 4], [None, None, 1], [None, None], [None, 16], [None, 16]]

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32) for shape in free])
    def gradient(z, action, restart, h, c):
        with tf.GradientTape() as tape:
            params, h, c = model.sequence(z, action, restart, h, c)
            loss = mdnrnn_loss(params, z, restart)
        return loss.total, tape.gradient(loss.total, model.trainable_variables)

    arguments = [normal(B, T, 4), normal(B, T, 1), random_keep(), normal(B, 16), normal(B, 16)]
    loss, gradients = gradient(*arguments)
    eager, expected = gradient.python_function(*arguments)
    assert np.allclose(loss, eager, atol=1e-5)
    for a, b in zip(gradients, expected, strict=True):
        assert np.allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("done_head", [False, True])
def test_a_restart_forgets_what_was_before(done_head):
    """Whether or not restart is an input too."""
    model = MDNRNN(4, 1, 16, 2, done_head)
    z, action = normal(B, T, 4), normal(B, T, 1)
    restart = tf.constant(np.eye(T, dtype=np.float32)[[3] * B])  # before step 3
    params, h, c = model.sequence(z, action, restart, normal(B, 16), normal(B, 16))
    fresh, fresh_h, fresh_c = model.sequence(z[:, 3:], action[:, 3:], restart[:, 3:], *model.zero_state(B))
    for whole, part in zip(params[: 3 + done_head], fresh[: 3 + done_head], strict=True):
        assert np.allclose(whole[:, 3:], part, atol=1e-6)
    assert np.allclose(h, fresh_h, atol=1e-6) and np.allclose(c, fresh_c, atol=1e-6)
    other, *_ = model.sequence(z, action, restart, *model.zero_state(B))
    assert np.all(np.max(np.abs(other.mean - params.mean), axis=(2, 3))[:, :3] > 1e-4)  # before it, the state counts


@pytest.mark.parametrize("done_head", [False, True])
def test_steps_are_the_sequence(done_head):
    model = MDNRNN(4, 2, 16, 3, done_head)
    z, action = normal(B, T, 4), normal(B, T, 2)
    restart = 1.0 - random_keep() if done_head else None
    start = normal(B, 16), normal(B, 16, seed=1)
    params, last_h, last_c = model.sequence(z, action, restart, *start)
    h, c = start
    for t in range(T):
        flag = None if restart is None else restart[:, t : t + 1]
        step, h, c = model.step(z[:, t], action[:, t], flag, h, c)
        for ours, whole in zip(step, params, strict=True):
            assert (ours is None and whole is None) or np.allclose(ours, whole[:, t], atol=1e-5)
    assert np.allclose(h, last_h, atol=1e-5) and np.allclose(c, last_c, atol=1e-5)
    assert params.mean.shape == (B, T, 3, 4) and (params.done_logit is None) == (not done_head)


def test_a_done_head_needs_restart():
    model = MDNRNN(4, 1, 16, 2, True)
    with pytest.raises(ValueError, match="restart"):
        model.step(normal(B, 4), normal(B, 1), None, *model.zero_state(B))


def test_training_learns_a_sequence_and_repeats_itself():
    z = tf.constant(np.sin(np.arange(21) * 0.7)[None, :, None] * [[[1.0]], [[-1.0]]], tf.float32)
    action, restart = tf.zeros((2, 20, 1)), tf.zeros((2, 20))
    done = tf.constant(np.arange(20) % 5 == 4, tf.float32) * tf.ones((2, 1))

    def train():
        model, optimizer = MDNRNN(1, 1, 16, 2, True), keras.optimizers.Adam(0.02)

        @tf.function
        def update():
            with tf.GradientTape() as tape:
                params, _, _ = model.sequence(z[:, :-1], action, restart, *model.zero_state(2))
                loss = mdnrnn_loss(params, z[:, 1:], done)
            optimizer.apply(tape.gradient(loss.total, model.trainable_variables), model.trainable_variables)
            return loss

        return [[float(part) for part in update()] for _ in range(60)]

    losses = train()
    assert losses[-1][1] < losses[0][1] - 0.8 and losses[-1][2] < 0.8 * losses[0][2]
    assert losses == train()


def test_bfloat16_is_the_same_network_rounded():
    exact, rounded = (MDNRNN(8, 1, 32, 5, True, precision=precision) for precision in ("float32", "bfloat16"))
    arguments = normal(B, T, 8), normal(B, T, 1), tf.zeros((B, T)), *exact.zero_state(B)
    (a, h_a, _), (b, h_b, _) = (model.sequence(*arguments) for model in (exact, rounded))
    assert {str(variable.dtype) for variable in rounded.weights} == {"float32"}
    assert h_b.dtype == b.mean.dtype == b.done_logit.dtype == tf.float32
    assert 0.0 < np.max(np.abs(h_a - h_b)) < 0.02 and 0.0 < np.max(np.abs(a.mean - b.mean)) < 0.05
    layer = RestartLSTM(INPUTS, H, precision="bfloat16")
    inputs, weights = [normal(B, T, INPUTS), normal(B, H), normal(B, H)], [layer.kernel, layer.recurrent_kernel]
    ours = gradients_of(lambda x, h, c: layer.sequence(x, random_keep(), h, c), inputs, weights)
    plain = gradients_of(steps(layer, random_keep()), inputs, weights)
    for a, b in zip(ours, plain, strict=True):
        assert np.max(np.abs(a - b)) < 0.03 * np.max(np.abs(b))


def test_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="float16x"):
        MDNRNN(4, 1, 16, precision="float16x")


@pytest.mark.rows
@pytest.mark.parametrize("precision", PRECISIONS_OF_ROWS)
@pytest.mark.parametrize("sizes", [(64, 1, 512, 5, True), (32, 3, 256, 5, False)])
def test_a_row_steps_alike_wherever_it_stands(sizes, precision):
    """Bit for bit, in batches of one size: neither its place nor its neighbours matter."""
    model, rows = MDNRNN(*sizes, precision=precision), 128
    z_size, action_size, hidden, _, done_head = sizes

    def step(z, action, restart, h, c, uniforms, normals):
        params, h, c = model.step(z, action, restart if done_head else None, h, c)
        return sample(params, 1.15, uniforms, normals), h, c, *([params.done_logit] if done_head else [])

    widths = [z_size, action_size, 1, hidden, hidden, z_size, z_size]
    arguments = [np.asarray(normal(rows, width, seed=n)) for n, width in enumerate(widths)]
    arguments[2] = np.float32(arguments[2] > 1)
    arguments[5] = np.float32(np.random.default_rng(6).random((rows, z_size)))
    compiled = tf.function(step, input_signature=[tf.TensorSpec([None, width], tf.float32) for width in widths])
    for size in (16, 64):
        whole = [np.asarray(part) for part in compiled(*(argument[:size] for argument in arguments))]
        for shift in (1, 5, size // 2):
            part = compiled(*(np.roll(argument[:size], shift, axis=0) for argument in arguments))
            for ours, reference in zip(part, whole, strict=True):
                assert np.array_equal(ours, np.roll(reference, shift, axis=0)), (size, shift)
        mixed = compiled(*(np.concatenate([a[size : 2 * size - 7], a[:7]]) for a in arguments))
        for ours, reference in zip(mixed, whole, strict=True):
            assert np.array_equal(np.asarray(ours)[-7:], reference[:7]), size


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("done_head", [False, True])
def test_the_authors_arrays_give_the_authors_network(done_head):
    """Against their arithmetic, in their layout, written out in NumPy."""
    z_size, action_size, hidden, mixtures = 3, 2, 6, 4
    width, inputs = 3 * mixtures * z_size + done_head, z_size + action_size + done_head
    rng = np.random.default_rng(1)
    shapes = [(hidden, width), (width,), (inputs + hidden, 4 * hidden), (4 * hidden,)]
    arrays = [rng.integers(-9000, 9000, shape) for shape in shapes]
    model = mdnrnn_from_authors(arrays, z_size, action_size)
    assert (model.hidden_size, model.mixtures, model.done_head) == (hidden, mixtures, done_head)
    z, action = rng.normal(size=(B, z_size)), rng.normal(size=(B, action_size))
    h, c, restart = rng.normal(size=(B, hidden)), rng.normal(size=(B, hidden)), np.zeros((B, int(done_head)))

    head, head_bias, kernel, bias = (array * 1e-4 for array in arrays)
    i, g, f, o = np.split(np.concatenate([z, action, restart, h], axis=1) @ kernel + bias, 4, axis=1)
    new_c = sigmoid(f + 1.0) * c + sigmoid(i) * np.tanh(g)
    new_h = sigmoid(o) * np.tanh(new_c)
    raw = new_h @ head + head_bias
    expected = np.split(raw[:, int(done_head) :].reshape(B, z_size, 3 * mixtures), 3, axis=2)

    single = [tf.constant(array, tf.float32) for array in (z, action, restart, h, c)]
    params, our_h, our_c = model.step(*single[:2], single[2] if done_head else None, *single[3:])
    assert np.allclose(our_h, new_h, atol=1e-5) and np.allclose(our_c, new_c, atol=1e-5)
    for ours, theirs in zip(params[:3], expected, strict=True):
        assert np.allclose(np.swapaxes(ours, 1, 2), theirs, atol=1e-5)
    assert not done_head or np.allclose(params.done_logit, raw[:, 0], atol=1e-5)
    for back, array in zip(mdnrnn_to_authors(model), arrays, strict=True):
        assert np.array_equal(back, array)


def test_arrays_that_do_not_fit_are_refused():
    arrays = [np.zeros(shape) for shape in [(6, 36), (36,), (11, 24), (24,)]]
    assert mdnrnn_from_authors(arrays, 3, 2).mixtures == 4
    with pytest.raises(ValueError, match="4 arrays"):
        mdnrnn_from_authors(arrays[:3], 3, 2)
    with pytest.raises(ValueError, match="do not fit"):
        mdnrnn_from_authors(arrays, 3, 1)
    with pytest.raises(ValueError, match="do not fit"):
        mdnrnn_from_authors(arrays, 4, 2)
    with pytest.raises(ValueError, match="expected"):
        mdnrnn_from_authors([np.zeros(6), *arrays[1:]], 3, 2)
