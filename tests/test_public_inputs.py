"""What a user's own code hands in: taken as it is wanted, or refused in one ValueError that says what was found."""

import re
import sys

import numpy as np
import pytest
import tensorflow as tf
from commands import ROOT, run
from released import COLD_AGENT, RELEASE

from carracing.env import CarRacing64
from carracing.task import TASK as CARRACING
from controller.agent import Agent, PlayingAgent, load_agent
from controller.checkpoints import find_controller, load_controller
from controller.cma_es import CMAES
from controller.evaluation import Evaluation
from controller.policies import Policy
from controller.policy_spec import PolicyShape
from controller.score_files import load_evaluations
from controller.statistics import bootstrap_interval
from controller.task import controller_name
from doomrnn.dream import DoomDream
from doomrnn.env import DoomTakeCover
from doomrnn.task import TASK as DOOM
from experiment.arrays import checked_numbers, checked_options
from experiment.errors import InputError
from experiment.metrics import read_metrics
from experiment.runs import load_run
from pendulum.env import Pendulum64
from rnn.model import MDNRNN
from rnn.series import load_initial
from rnn.training import load_rnn
from vae.model import VAE, to_uint8, to_unit
from vae.training import load_vae

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


@pytest.mark.parametrize("make", [DoomTakeCover, CarRacing64, Pendulum64])
def test_games_have_no_options(make):
    """One that is given was meant to do something; None and {} are not given."""
    env = make()
    with pytest.raises(ValueError, match="options: skill unknown; there are none"):
        env.reset(seed=1, options={"skill": 5})
    assert checked_options({}) == checked_options(None) == {}
    env.close()


@pytest.mark.parametrize("limit", [0, -1, 2.5, "9", None, True])
def test_limits_are_whole_numbers(limit):
    """Of every environment, real or dreamed."""
    for make in (DoomTakeCover, CarRacing64, Pendulum64, lambda **limits: DoomDream(RELEASE, **limits)):
        with pytest.raises(ValueError, match=rf"time_limit must be a whole number from 1 to \d+, not {limit!r}"):
            make(time_limit=limit)


@pytest.mark.parametrize("temperature", [0, -1.0, np.nan, np.inf, "1.15", None, True])
def test_temperatures_are_numbers_above_0(temperature):
    """Also one that is a word, as a flag or an environment variable gives it."""
    with pytest.raises(InputError, match="must be a number above 0"):
        DoomDream(RELEASE, temperature=temperature)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
def test_an_agents_seed_is_a_whole_number(agent, seed):
    """1.5 was played as 1; NumPy's whole numbers are some too."""
    with pytest.raises(ValueError, match="seed"):
        agent.reset(seed)
    agent.reset(np.int64(5))
    first = agent.act(FRAME)
    agent.reset(5)
    assert np.array_equal(agent.act(FRAME), first)


# --- V, and the numbers of a search ---


@pytest.mark.parametrize(
    ("frames", "said"),
    [
        (np.full((1, 64, 64, 3), 255, np.float32), "float32 from 255 to 255; see to_unit"),
        (np.full((1, 64, 64, 3), np.nan, np.float32), "float32 from nan to nan"),
        (FRAME[None], r"uint8 \[1, 64, 64, 3\]; see to_unit"),
        (np.zeros((1, 96, 96, 3), np.float32), r"float32 \[1, 96, 96, 3\]"),  # it made four rows of z
        (np.zeros((64, 64, 3), np.float32), r"float32 \[64, 64, 3\]"),
        (np.zeros((1, 3, 64, 64), np.float32), r"float32 \[1, 3, 64, 64\]"),
    ],
)
def test_v_encodes_frames_in_0_to_1_only(frames, said):
    """Others would give a z of nothing that was seen; so would they as a tensor."""
    vae = VAE(4, seed=3)
    for given in (frames, tf.constant(frames)):
        with pytest.raises(ValueError, match=said):
            vae.encode(given)
    assert vae.encode(to_unit(FRAME[None]))[0].shape == (1, 4)


def test_frames_are_scaled_once():
    """To what V reads from bytes only, and back from [0, 1] only; 1.5 became 126, and bytes were taken for floats."""
    assert to_uint8(np.array([0, 0.5, 1.0])).tolist() == [0, 128, 255]
    assert np.array_equal(to_uint8(to_unit(FRAME)), FRAME)
    for wrong in (np.array([1.5]), np.array([-0.1]), np.array([np.nan]), FRAME):
        with pytest.raises(ValueError, match=r"frames must be floats in \[0, 1\], not "):
            to_uint8(wrong)
    with pytest.raises(ValueError, match="frames must be uint8, 0 to 255, not float32"):
        to_unit(np.float32(FRAME / 255))


@pytest.mark.parametrize("scores", [[], [np.nan, 1.0], [[1.0], [2.0]], ["1", "2"], 3.0])
def test_scores_are_a_row_of_numbers(scores):
    """An interval of none, or of NaN, is none."""
    with pytest.raises(ValueError, match="scores must be 1 finite number or more"):
        bootstrap_interval(scores)
    assert bootstrap_interval([2.0, 2.0]) == [2.0, 2.0]


def test_a_search_takes_its_own_numbers_only():
    """A fitness that is NaN, or of another count; a mean of another size, which it took for the size of the search."""
    search = CMAES(4, 6, 0.1, seed=1)
    candidates = search.ask()
    for fitness in (np.zeros(5), np.array([0, 1, 2, 3, 4, np.nan]), np.zeros((6, 1))):
        with pytest.raises(ValueError, match="fitness must be 6 finite numbers"):
            search.tell(candidates, fitness)
    search.tell(candidates, range(6))
    for mean in (np.zeros(3), np.full(4, np.nan)):
        with pytest.raises(ValueError, match="mean must be 4 finite numbers"):
            CMAES(4, 6, 0.1, 1, mean)
    for popsize, sigma in ((1, 0.1), (6.0, 0.1), (6, 0.0), (6, np.nan)):
        with pytest.raises(ValueError, match="popsize|sigma_init"):
            CMAES(4, popsize, sigma, 1)


# --- whose run it is ---


def test_what_is_no_run(tmp_path):
    """A misspelt folder, one that no shell expanded, and arguments in another order."""
    for use in (lambda: load_agent(DOOM, tmp_path / "nope"), lambda: DoomDream(tmp_path / "nope")):
        with pytest.raises(InputError, match="no such folder"):
            use()
    with pytest.raises(InputError) as refusal:
        load_agent(DOOM, "~/no/such/run")
    assert "~" not in str(refusal.value)
    for task in ("doomrnn", RELEASE):
        with pytest.raises(TypeError, match=r"task must be a Task, such as doomrnn\.task\.TASK, not"):
            load_agent(task, RELEASE)


def test_an_agent_plays_as_it_is_scored(monkeypatch):
    """In float32, whatever V and M were trained in; bfloat16 by request, and no other precision."""
    car, made = ROOT / "results" / "carracing", []
    assert load_vae(car / "vae").precision == "bfloat16"
    monkeypatch.setattr("controller.agent.Agent", lambda *parts: made.append(parts) or Agent(*parts))
    for words, precision in (({}, "float32"), ({"precision": "bfloat16"}, "bfloat16")):
        load_agent(CARRACING, car, "real-zh-s0", **words)
        vae, rnn, _ = made.pop()
        assert vae.precision == rnn.precision == precision
    with pytest.raises(ValueError, match="precision"):
        load_agent(CARRACING, car, "real-zh-s0", precision="half")


def test_folders_may_be_words():
    """Every public function that reads one takes a str too."""
    assert load_vae(f"{RELEASE}/vae").z_size == 64 and load_rnn(f"{RELEASE}/rnn").hidden_size == 512
    assert load_initial(f"{RELEASE}/series", 64).mu.shape == (1000, 64)
    assert load_controller(str(find_controller(str(RELEASE), COLD_AGENT)), "best")[0].size == 1088
    assert load_run(str(RELEASE), DOOM.presets["paper"].stages).task == "doomrnn"
    assert load_evaluations(f"{RELEASE}/evaluation") and read_metrics(f"{RELEASE}/vae")


def test_an_error_made_from_an_error():
    """As an environment in another process hands it on, Gymnasium's for instance."""
    assert str(InputError(InputError("one\nline"))) == "one line"


def test_graphs_only_are_refused():
    """A program of TensorFlow 1's habits is told so, instead of an error about symbolic tensors."""
    code = f"""
import tensorflow as tf
tf.compat.v1.disable_eager_execution()
from controller.agent import load_agent
from doomrnn.task import TASK
try:
    load_agent(TASK, {str(RELEASE)!r})
except Exception as error:
    print(type(error).__name__, error)
"""
    done = run([sys.executable, "-c", code])
    assert done.stdout.startswith("InputError TensorFlow was told to build graphs only"), done.stdout + done.stderr


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
