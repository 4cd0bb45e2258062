"""What a user's own code hands in: taken as it is wanted, or refused in one ValueError that says what was found."""

import re

import numpy as np
import pytest
from commands import ROOT

from carracing.env import CarRacing64
from carracing.task import TASK as CARRACING
from controller.agent import Agent, PlayingAgent, load_agent
from controller.evaluation import Evaluation
from controller.policies import Policy
from controller.policy_spec import PolicyShape
from controller.task import controller_name
from doomrnn.dream import DoomDream
from doomrnn.env import DoomTakeCover
from doomrnn.task import TASK as DOOM
from experiment.arrays import checked_numbers, checked_options
from experiment.errors import InputError
from rnn.model import MDNRNN
from vae.model import VAE

RELEASE = ROOT / "results" / "doomrnn"
FRAME = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)


@pytest.fixture(scope="module")
def agent() -> PlayingAgent:
    """An untrained agent of small sizes."""
    shape = PolicyShape("zch", 4, 8, 1, bias=False)
    playing = PlayingAgent(
        Agent(VAE(4, seed=3), MDNRNN(4, 1, 8, 2, done_head=True), Policy(shape)), np.ones(20, np.float32)
    )
    playing.reset(1)
    return playing


@pytest.mark.parametrize(
    ("frame", "found"),
    [
        (FRAME / 255.0, "float64 [64, 64, 3]; pass it as the environment gives it, in 0 to 255"),
        (FRAME.astype(np.float32), "float32 [64, 64, 3]"),
        (np.full((64, 64, 3), np.nan, np.float32), "float32 [64, 64, 3]"),
        (FRAME.astype(np.int64), "int64 [64, 64, 3]"),
        (FRAME.astype(np.int8), "int8 [64, 64, 3]"),
        (FRAME > 9, "bool [64, 64, 3]"),
        (np.zeros((96, 96, 3), np.uint8), "uint8 [96, 96, 3]"),
        (FRAME[None], "uint8 [1, 64, 64, 3]; pass one frame at a time"),
        (FRAME[..., 0], "uint8 [64, 64]; it has three channels"),
        (np.zeros((64, 64, 4), np.uint8), "uint8 [64, 64, 4]; it has three channels"),
        (FRAME.transpose(2, 0, 1), "uint8 [3, 64, 64]; channels come last"),
        (FRAME.tolist(), "a list"),
        (None, "NoneType None"),
        ((FRAME, {}), "a tuple"),  # what reset() gives, not taken apart
    ],
)
def test_only_frames_are_acted_on(agent, frame, found):
    """Scaled, of another type, size, order or number: one line, without the pixels."""
    with pytest.raises(ValueError) as refusal:
        agent.act(frame)
    said = str(refusal.value)
    assert said.startswith("observation must be an array uint8 [64, 64, 3], not ") and found in said
    assert "\n" not in said and len(said) < 160


def test_a_frame_that_is_one_is_acted_on(agent):
    """Also where its memory is laid out in another way."""
    agent.reset(5)
    first = agent.act(FRAME)
    agent.reset(5)
    assert np.array_equal(agent.act(np.asfortranarray(FRAME)), first) and first.shape == (1,)


@pytest.mark.parametrize("action", [1.5, -1.01, np.nan, np.inf, "left", None, True, [0.0, 0.0], [[0.0]], [], 1j])
@pytest.mark.parametrize("world", ["game", "dream"])
def test_actions_out_of_range_are_refused(world, action):
    """In take cover and in its dream alike, before anything is played."""
    env = DoomTakeCover() if world == "game" else DoomDream(RELEASE)
    value = [action] if not isinstance(action, list) else action
    with pytest.raises(ValueError, match=r"action must be .*not ") as refusal:
        env.step(value)
    assert "\n" not in str(refusal.value)
    env.close()


def test_numbers_are_taken_from_any_sequence():
    """Lists, tuples and other floats and whole numbers of the right count, as float32."""
    for value in ([0.5, 1], (0.5, 1), np.array([0.5, 1]), np.array([0.5, 1], np.float16)):
        found = checked_numbers("z", value, (2,))
        assert found.dtype == np.float32 and found.tolist() == [0.5, 1.0]
    for value in ([0.5, 1e300], [[0.5], [1, 2]], np.array([0.5, 1], object), "ab", {0.5: 1}):
        with pytest.raises(ValueError, match=r"^z must be 2 finite numbers, not ") as refusal:
            checked_numbers("z", value, (2,))
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"z": np.zeros(63)}, r'options\["z"\] must be 64 finite numbers, not float64 \[63\]'),
        ({"z": np.zeros((1, 64))}, r"not float64 \[1, 64\]"),
        ({"z": np.full(64, np.nan)}, r"not float64 \[64\] of \[nan nan ... nan nan\]"),
        ({"z": "first"}, r"not str 'first'"),
        ({"Z": np.zeros(64)}, r"options: Z unknown; there are only z"),
        ([1], r"options: list \[1\] unknown"),
    ],
)
def test_options_of_the_dream(options, said):
    """A z of another size or with NaN, and an option that nobody reads."""
    with pytest.raises(ValueError, match=said):
        DoomDream(RELEASE).reset(options=options)


@pytest.mark.parametrize("make", [DoomTakeCover, CarRacing64])
def test_games_have_no_options(make):
    """One that is given was meant to do something; None and {} are not given."""
    env = make()
    with pytest.raises(ValueError, match="options: skill unknown; there are none"):
        env.reset(seed=1, options={"skill": 5})
    assert checked_options({}) == checked_options(None) == {}
    env.close()


# --- whose run it is ---


def test_a_run_of_another_task_is_refused_first(tmp_path):
    """By the agent and by the dreams, before a weight is read."""
    from carracing.dream import CarRacingDream

    for use in (lambda: load_agent(CARRACING, RELEASE), lambda: CarRacingDream(RELEASE)):
        with pytest.raises(InputError, match="belongs to task doomrnn, not carracing"):
            use()
    (tmp_path / "config.json").write_text('{"task": "carracing"}')
    for use in (lambda: load_agent(DOOM, tmp_path), lambda: DoomDream(tmp_path)):
        with pytest.raises(InputError, match="belongs to task carracing, not doomrnn"):
            use()


SCRIPTS = (
    "collect_rollouts.py",
    "train_vae.py",
    "encode_series.py",
    "train_rnn.py",
    "train_controller.py",
    "evaluate.py",
)


@pytest.mark.parametrize("script", [*SCRIPTS, "reproduce.py"])
def test_scripts_say_whose_run_it_is(script, inside):
    """Every script that names a task says so in one line, and leaves the run as it was."""
    before = (RELEASE / "config.json").read_bytes()
    for words in ((), ("--preset", "smoke")) if script != "evaluate.py" else ((),):
        done = inside(script, "carracing", "--run", RELEASE, *words)
        assert done.returncode == 2, done.stderr
        assert re.fullmatch(r"error: .*belongs to task doomrnn, not carracing; name another run\n", done.stderr)
    assert (RELEASE / "config.json").read_bytes() == before


# --- names ---


def evaluation(temperature: float) -> Evaluation:
    """One dream's score at a temperature."""
    numbers = {"episodes": 1, "mean": 1.0, "std": 0.0, "ci95": [1.0, 1.0], "scores": [1.0], "lengths": [1]}
    who = {"task": "doomrnn", "world": "dream", "policy": "left", "controller": None, "seed": 0}
    return Evaluation(**who, **numbers, temperature=temperature, config_sha256="", commit="")


def test_every_temperature_has_a_name_of_its_own():
    """Two decimals where they are all; else the whole number, in files of scores and in folders of controllers."""
    different = (1.12, 1.125, 1.1250001, 0.001, 0.004, 0.0, 1e-9, 1.15, 1.1, 10.0, 100.5, 1.1499999999999999)
    assert len({evaluation(tau).file_name for tau in different}) == len(set(different))
    assert len({controller_name("dream", "zch", tau, 0) for tau in different}) == len(set(different))
    assert evaluation(1.1).file_name == "dream-left-tau1.10-seed0-n1.json"
    assert evaluation(1.125).file_name == "dream-left-tau1.125-seed0-n1.json"
    assert controller_name("dream", "zch", 1.15, 0) == "dream-zch-tau1.15-s0" == DOOM.usual_controller
    assert evaluation(1).file_name == evaluation(1.0).file_name == "dream-left-tau1.00-seed0-n1.json"
