"""Controllers against NumPy, and the policies that look at nothing."""

import numpy as np
import pytest

from carracing.task import TASK as CARRACING
from controller.policies import Policy
from controller.policy_spec import PolicyShape
from doomrnn.scripted import SCRIPTS, TakeCoverScript, random_hold
from doomrnn.task import TASK as DOOM
from experiment.errors import InputError
from experiment.random_streams import Purpose


def rng_of(episode: int = 0) -> np.random.Generator:
    """A stream as a rollout has it."""
    return Purpose.EVALUATE.stream(0, episode=episode).generator()


@pytest.mark.parametrize(
    ("task", "variant", "size"),
    [(DOOM, "zch", 1088), (CARRACING, "zh", 867), (CARRACING, "z", 99), (CARRACING, "z_hidden", 1443)],
)
def test_the_papers_sizes(task, variant, size):
    """The published numbers of weights (3.2, 3.3 and 4.2) with the paper's settings; a shape's record rebuilds it."""
    stages = task.presets["paper"].stages
    made = task.policy_shape(variant, stages.vae.z_size, stages.rnn.hidden_size, stages.controller.hidden_size)
    assert made.size == size
    assert PolicyShape(**made.config()) == made


@pytest.mark.parametrize("variant", ["z", "zh", "zch", "z_hidden"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("outputs", [1, 3])
def test_flat_weights_against_numpy(variant, bias, outputs):
    """Layer by layer the bias first, then the kernel [inputs, outputs] row by row; every row has weights of its own."""
    made, rng = PolicyShape(variant, 4, 5, outputs, bias), np.random.default_rng(0)
    weights = rng.normal(size=(6, made.size)).astype(np.float32)
    z, c, h = (rng.normal(size=(6, n)).astype(np.float32) for n in (4, 5, 5))
    actions = np.asarray(Policy(made).act(weights, z, c, h))
    assert actions.shape == (6, outputs)
    for row in range(6):
        flat = weights[row].astype(np.float64)
        signal = np.concatenate({"z": [z], "z_hidden": [z], "zh": [z, h], "zch": [z, c, h]}[variant], axis=1)[row]
        for n_in, n_out in made.layers:
            offset, flat = (flat[:n_out], flat[n_out:]) if bias else (0, flat)
            kernel, flat = flat[: n_in * n_out].reshape(n_in, n_out), flat[n_in * n_out :]
            signal = np.tanh(signal @ kernel + offset)
        assert len(flat) == 0
        assert np.allclose(actions[row], signal, rtol=1e-5, atol=1e-6)


def test_the_task_squashes():
    """What a task makes of the tanh outputs comes last."""
    made = PolicyShape("z", 2, 1, 3, bias=False)
    policy = Policy(made, squash=lambda action: action * 10 + 1)
    assert np.allclose(policy.act(np.zeros((2, 6), np.float32), *np.zeros((3, 2, 2), np.float32)), 1.0)


# --- scripts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_its_streams_alone(name):
    """The same stream gives the same float32 actions [T, 1] in [-1, 1], a longer rollout the same start."""
    script = TakeCoverScript(name)
    actions = script.actions(rng_of(1), 300)
    assert actions.shape == (300, 1) and actions.dtype == np.float32 and np.abs(actions).max() <= 1
    assert np.array_equal(actions, script.actions(rng_of(1), 300))
    assert np.array_equal(actions[:100], script.actions(rng_of(1), 100))
    assert np.array_equal(actions, script.actions(rng_of(2), 300)) == (name not in ("random", "random_hold"))


def holds(actions: np.ndarray) -> np.ndarray:
    """How long each action was held."""
    changes = np.flatnonzero(np.diff(actions[:, 0])) + 1
    return np.diff([0, *changes])


def test_random_hold_is_the_authors():
    """Holds of 3.67 steps on average with repeats up to 10, not 5.5, none above 10."""
    lengths = holds(random_hold(rng_of(0), 300_000, 10))
    assert abs(lengths.mean() - 3.67) < 0.03
    assert lengths.max() == 10 and lengths.min() == 1


def test_random_hold_by_hand():
    """A new action and repeat whenever the step number is a multiple of the repeat, and only then."""
    rng, expected = rng_of(5), []
    repeat = 1
    for step in range(500):
        if step % repeat == 0:
            action, repeat = rng.uniform(-1, 1), rng.integers(1, 11)
        expected.append(action)
    assert np.array_equal(random_hold(rng_of(5), 500, 10)[:, 0], np.float32(expected))


def test_longer_holds():
    """`max_hold` bounds the repeats."""
    lengths = holds(random_hold(rng_of(0), 100_000, 80))
    assert 60 < lengths.max() <= 80 and lengths.mean() > 10
    assert np.array_equal(
        TakeCoverScript("random_hold", max_hold=80).actions(rng_of(0), 100), random_hold(rng_of(0), 100, 80)
    )


def test_random_acts_anew_each_step():
    """Uniform over [-1, 1], never held."""
    actions = TakeCoverScript("random").actions(rng_of(0), 30_000)
    assert holds(actions).max() == 1
    assert abs(actions.mean()) < 0.02 and abs(actions.std() - 1 / np.sqrt(3)) < 0.01


def test_constant_scripts_and_sweeps():
    """stay, left and right do what they say; sweep goes right first and holds each side for its period."""
    for name, value in (("stay", 0), ("left", -1), ("right", 1)):
        assert np.array_equal(TakeCoverScript(name).actions(rng_of(0), 5), np.full((5, 1), value, np.float32))
    assert TakeCoverScript("sweep", period=2).actions(rng_of(0), 7)[:, 0].tolist() == [1, 1, -1, -1, 1, 1, -1]
    sweep = TakeCoverScript("sweep").actions(rng_of(0), 2100)[:, 0]
    assert holds(sweep[:, None]).tolist() == [120] * 17 and sweep[0] == 1


@pytest.mark.parametrize(("name", "period"), [("nothing", None), ("sweep", 0)])
def test_no_such_script(name, period):
    """An unknown name or a period below 1 is refused."""
    with pytest.raises(InputError, match=name):
        TakeCoverScript(name, period=period)
