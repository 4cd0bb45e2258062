"""The dreams as Gymnasium environments: one or many, the same dream, and as Gymnasium's own vector environments do."""

import itertools
import shutil
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from commands import run as run_command
from dreams import Z, make_dream, make_model, play, scripted
from gymnasium.utils import env_checker
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers.vector import RecordEpisodeStatistics
from samples import write_run

import doomrnn
from controller.dream_batch import DreamBatch
from doomrnn.dream import DoomDream, DoomDreams
from doomrnn.scripted import TakeCoverScript
from doomrnn.task import TASK
from experiment.checkpoints import save_model
from experiment.errors import InputError, NumericalError
from experiment.runs import Run, save_run
from rnn.dream import Dream
from rnn.model import MDNRNN
from rnn.series import InitialLatents
from rollouts.dream_player import DreamPlayer
from rollouts.rollout import BLOCK
from vae.model import VAE

NAME = "WorldModels/DoomDream-v0"
MODES = list(AutoresetMode)


def write_dream(path: Path, model: MDNRNN) -> Path:
    """A run with an untrained V, this M, and first frames."""
    return write_run(path, VAE(model.z_size, seed=2), model, make_dream(model).initial)


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run of Doom's size whose dreams end now and then."""
    return write_dream(tmp_path_factory.mktemp("run"), make_model())


@pytest.fixture(scope="module")
def lively(tmp_path_factory) -> Path:
    """A small run whose dreams end often: done follows one hidden unit."""
    model = make_model(4, 8)
    kernel, bias = np.array(model.head.kernel), np.array(model.head.bias)
    kernel[:, -1], bias[-1] = np.eye(8)[0] * 40, -0.5
    model.head.kernel.assign(kernel)
    model.head.bias.assign(bias)
    return write_dream(tmp_path_factory.mktemp("lively"), model)


def actions(count: int, steps: int) -> np.ndarray:
    """Actions float32 [steps, count, 1]."""
    return np.random.default_rng(3).uniform(-1, 1, (steps, count, 1)).astype(np.float32)


# --- one dream ----------------------------------------------------------------------------------------------


def test_gymnasiums_checker_passes(run):
    """Registered, and in order; observations are [z, c, h], 1,088 numbers."""
    env = gymnasium.make(NAME, run=run, temperature=1.0, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # z, c and h have no bounds
        env_checker.check_env(env.unwrapped)
    assert doomrnn.__name__ in env.spec.entry_point
    assert env.observation_space.shape == (1088,) and env.action_space == gymnasium.spaces.Box(-1, 1, (1,), np.float32)
    env.reset(seed=1)
    frame = env.render()
    assert frame.shape == (64, 64, 3) and frame.dtype == np.uint8
    env.step(np.zeros(1, np.float32))
    assert not np.array_equal(env.render(), frame)
    env.close()


def test_the_environment_dreams_what_the_engine_dreams(run):
    """On a rollout's own stream of random numbers: the same states but for rounding, and the same end."""
    env, dream = DoomDream(run), make_dream(make_model())
    work = scripted(12, TakeCoverScript("random_hold"))
    expected = play(DreamPlayer(dream, None, 12, 100), work)
    env.reset()
    for rollout in work[:4]:
        rng = rollout.rng()
        env.reset()
        env._batch.begin(0, rng)
        script = rollout.policy.actions(rng, 112)
        player = DreamPlayer(dream, None, 16, 100)
        player.add(work[:9])
        steps, ended = 0, False
        while not ended and steps < 100:
            observation, reward, ended, truncated, _ = env.step(script[steps])
            steps += 1
            assert reward == 1.0 and not truncated
            if steps % BLOCK == 0 and not ended:
                player.advance()
                row = [r.id for r in player._rollouts].index(rollout.id)
                state = player._state
                dreamt = np.concatenate([state.z[row], state.c[row], state.h[row]])
                assert observation == pytest.approx(dreamt, abs=1e-3)
        assert steps == expected[rollout.id].length


def test_dreams_end_as_the_runs_settings_say(tmp_path):
    """A run whose deaths are sampled has such environments, one and many: deaths as often as they are, and seeded."""
    write_dream(
        tmp_path, make_model(2, 4, done_bias=float(np.log(10 * 0.1 / 0.9)))
    )  # likelier than not, learned ten times
    stages = TASK.presets["smoke"].stages
    assert DoomDream(tmp_path)._source.death_weight is None
    sampled = replace(stages, controller=replace(stages.controller, death="sampled"))
    save_run(Run(tmp_path, "doomrnn", "smoke", 0, sampled))
    env, lengths = DoomDream(tmp_path, time_limit=200), []
    for seed in (*range(150), 0, 1):
        env.reset(seed=seed)
        steps, over = 0, False
        while not over:
            *_, terminated, truncated, _ = env.step(np.zeros(1, np.float32))
            steps, over = steps + 1, terminated or truncated
        lengths.append(steps)
    assert lengths[150:] == lengths[:2] and abs(np.mean(lengths) - 10) < 4
    many = DoomDreams(3, tmp_path, time_limit=200)
    many.reset(seed=0)
    ends = [many.step(np.zeros((3, 1), np.float32))[2] for _ in range(max(lengths[:3]))]
    assert [int(np.argmax(column)) + 1 for column in np.transpose(ends)] == lengths[:3]


def test_the_environments_limits(run, tmp_path):
    """The step limit truncates, seeds repeat, and what cannot be is refused."""
    write_dream(tmp_path, make_model(done_bias=-9.0))
    env = DoomDream(tmp_path, time_limit=3)
    observations = [env.reset(seed=seed)[0] for seed in (4, 4, 5)]
    assert np.array_equal(observations[0], observations[1]) and not np.array_equal(observations[0], observations[2])
    assert [env.step(np.ones(1))[2:4] for _ in range(3)] == [(False, False), (False, False), (False, True)]
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.ones(1))
    env.reset()
    for action in (np.array([np.nan]), np.zeros(2), np.float32(0), np.full(1, 1.5)):
        with pytest.raises(ValueError, match="action"):
            env.step(action)
    for z in (np.zeros(Z + 1), np.full(Z, np.nan), np.zeros((2, Z))):
        with pytest.raises(ValueError, match=rf"must be {Z} finite numbers"):
            env.reset(options={"z": z})
    assert np.array_equal(env.reset(options={"z": np.arange(Z)})[0][:Z], np.arange(Z))


def test_what_no_run_can_dream(run, tmp_path):
    """It is refused when the environment is made, before TensorFlow is loaded."""
    with pytest.raises(InputError, match="temperature"):
        DoomDream(run, temperature=0)
    with pytest.raises(ValueError, match="render_mode"):
        DoomDream(run, render_mode="human")
    with pytest.raises(InputError, match="nowhere: no such folder; name a run's folder"):
        DoomDream(run / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="train_vae.py"):
        DoomDream(tmp_path / "empty")
    write_dream(tmp_path, MDNRNN(4, 3, 8, 5))
    for kind in (DoomDream, lambda run: DoomDreams(2, run)):
        with pytest.raises(InputError, match="actions of 3, not z of 4 numbers as V's and actions of 1"):
            kind(tmp_path)
    with pytest.raises(ValueError, match="num_envs"):
        DoomDreams(0, run)


def test_a_dream_of_nan_is_no_dream(tmp_path):
    """An M that overflows ends in an error, not in observations that are no numbers."""
    model = make_model(4, 8)
    model.head.bias.assign(np.full(model.head.bias.shape, 1e30, np.float32))
    env = DoomDream(write_dream(tmp_path, model))
    env.reset(seed=0)
    with pytest.raises(NumericalError, match="after step 1; train M again"):
        env.step(np.zeros(1, np.float32))


# --- many ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", [7, 2100])
def test_many_dreams_are_gymnasiums_own_vector_of_single_ones(lively, mode, limit):
    """Observations, rewards, ends and infos of every step equal `SyncVectorEnv`'s, in each autoreset mode."""
    ours = gymnasium.make_vec(
        NAME, 5, "vector_entry_point", run=lively, temperature=1.3, time_limit=limit, autoreset_mode=mode
    )
    theirs = gymnasium.make_vec(
        NAME, 5, "sync", run=lively, temperature=1.3, time_limit=limit, vector_kwargs={"autoreset_mode": mode}
    )
    assert ours.metadata == theirs.metadata
    for space in ("observation_space", "action_space", "single_observation_space", "single_action_space"):
        assert getattr(ours, space) == getattr(theirs, space)
    results, ends = [env.reset(seed=[3, 1, 4, 1, 5]) for env in (ours, theirs)], np.zeros(2, int)
    for step, chosen in enumerate(actions(5, 60)):
        assert env_checker.data_equivalence(*results), f"step {step}"
        results = [env.step(chosen) for env in (ours, theirs)]
        ends += [results[0][2].sum(), results[0][3].sum()]
        over = results[0][2] | results[0][3]
        if mode == AutoresetMode.DISABLED and over.any():
            assert env_checker.data_equivalence(*results)
            results = [env.reset(options={"reset_mask": over.copy()}) for env in (ours, theirs)]
    assert ends[0] > 5 and (ends[1] > 5) == (limit == 7)
    assert ours.np_random_seed == theirs.np_random_seed == (3, 1, 4, 1, 5)


def test_gymnasiums_checks_of_returned_data(lively):
    """Nothing returned is used again, the same seeds repeat, and all is of its space and type."""
    envs = DoomDreams(4, lively, autoreset_mode="SameStep")
    env_checker.check_reset_return_type(envs)
    returned = [envs.reset(seed=1)] + [envs.step(envs.action_space.sample()) for _ in range(40)] + [envs.reset(seed=1)]
    for earlier, later in itertools.pairwise(returned):
        assert not env_checker.data_shares_objects(earlier, later)
    assert any("final_obs" in infos for *_, infos in returned)
    first, second = envs.reset(seed=9)[0], envs.reset(seed=9)[0]
    assert np.array_equal(first, second) and not np.array_equal(first, envs.reset()[0])
    assert np.array_equal(first[1], envs.reset(seed=10)[0][0])
    observations, rewards, terminated, truncated, infos = envs.step(envs.action_space.sample())
    assert observations in envs.observation_space and isinstance(infos, dict)
    assert (rewards.dtype, terminated.dtype, truncated.dtype) == (np.float64, bool, bool)
    assert envs.spec is None and "num_envs=4" in repr(envs)


@pytest.mark.parametrize("count", [2, 3, 9, 70])
def test_a_dream_does_not_depend_on_those_beside_it(run, count):
    """Whatever their number, and whatever the others do: bit for bit the dream of its seed."""
    few, many = DoomDreams(2, run), DoomDreams(count, run)
    few.reset(seed=7)
    many.reset(seed=[100 + n for n in range(count - 2)] + [7, 8])
    for step, chosen in enumerate(actions(count, 24)):
        ours, theirs = few.step(chosen[-2:]), many.step(chosen)
        for part, whole in zip(ours[:4], theirs[:4], strict=True):
            assert np.array_equal(part, whole[-2:]), f"step {step}"


def test_a_dream_alone_is_the_one_beside_others_but_for_rounding(run):
    """A lone dream is compiled as one program, which adds in another order."""
    alone, many = DoomDream(run), DoomDreams(3, run)
    first, _ = alone.reset(seed=8)
    observations, _ = many.reset(seed=7)
    assert np.array_equal(first, observations[1])
    for chosen in actions(3, 20):
        ours, theirs = alone.step(chosen[1]), many.step(chosen)
        np.testing.assert_allclose(ours[0], theirs[0][1], atol=1e-3)


def test_a_mask_resets_some_and_z_begins_where_it_says(lively):
    """The others go on as they would have."""
    envs, undisturbed = (DoomDreams(3, lively, time_limit=50) for _ in range(2))
    for each in (envs, undisturbed):
        each.reset(seed=2)
    mask = np.array([False, True, False])
    observations, _ = envs.reset(seed=11, options={"reset_mask": mask, "z": np.full(4, 0.5)})
    assert np.array_equal(observations[1][:4], np.full(4, 0.5)) and envs.np_random_seed == (2, 12, 4)
    kept, expected = envs.step(np.zeros((3, 1)))[0], undisturbed.step(np.zeros((3, 1)))[0]
    assert np.array_equal(kept[[0, 2]], expected[[0, 2]]) and not np.array_equal(kept[1], expected[1])
    z = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(envs.reset(options={"z": z})[0][:, :4], z)
    for wrong in (np.zeros(3, bool), np.ones(2, bool), np.ones(3)):
        with pytest.raises(ValueError, match="reset_mask"):
            envs.reset(options={"reset_mask": wrong})


def test_what_many_dreams_refuse(lively):
    """Actions of another shape or beyond the space, too few seeds, and steps of dreams that are over."""
    envs = DoomDreams(2, lively, time_limit=1, autoreset_mode="Disabled")
    with pytest.raises(RuntimeError, match="reset"):
        envs.step(np.zeros((2, 1)))
    with pytest.raises(ValueError, match="seed"):
        envs.reset(seed=[1])
    envs.reset(seed=0)
    for wrong in (np.zeros((3, 1)), np.full((2, 1), 2.0), np.full((2, 1), np.nan), np.zeros(2)):
        with pytest.raises(ValueError, match="actions"):
            envs.step(wrong)
    envs.step(np.zeros((2, 1)))
    with pytest.raises(RuntimeError, match="reset"):
        envs.step(np.zeros((2, 1)))


def test_gymnasiums_wrappers_and_rendering(lively):
    """Episode statistics count the steps of each dream; every dream has a frame."""
    made = gymnasium.make_vec(NAME, 3, run=lively, time_limit=6, render_mode="rgb_array", autoreset_mode="SameStep")
    envs = RecordEpisodeStatistics(made)
    envs.reset(seed=0)
    lengths = []
    for chosen in actions(3, 40):
        infos = envs.step(chosen)[4]
        lengths += list(infos["episode"]["l"][infos["_episode"]]) if "episode" in infos else []
    assert max(lengths) == 6 and len(lengths) > 10
    frames = envs.render()
    assert len(frames) == 3 and frames[0].shape == (64, 64, 3) and not np.array_equal(frames[0], frames[1])
    envs.close()
    assert DoomDreams(2, lively).render() is None


def test_one_model_in_a_process(run, tmp_path):
    """All environments of a run share its M, until its weights change on disk."""
    shutil.copytree(run, tmp_path, dirs_exist_ok=True)
    envs = [DoomDream(tmp_path), DoomDreams(3, tmp_path), DoomDream(tmp_path, temperature=0.5)]
    for env in envs:
        env.reset(seed=0)
    envs.append(DoomDreams(70, tmp_path))
    envs[-1].reset()
    models = {id(env._batch.dream.model) for env in envs}
    assert len(models) == 1 and envs[1]._batch._compiled is envs[3]._batch._compiled
    assert envs[2]._batch.dream.temperature == 0.5
    save_model(tmp_path / "rnn", "weights", make_model(done_bias=9.0))
    again = DoomDream(tmp_path)
    again.reset(seed=0)
    assert id(again._batch.dream.model) not in models and again.step(np.zeros(1, np.float32))[2]


def test_one_graph_for_all_numbers_of_dreams(lively, caplog):
    """Nothing is traced again, whatever comes: TensorFlow has no cause to warn."""
    model = make_model(4, 8)
    dream, traced = Dream(model, InitialLatents(*np.zeros((2, 3, 4), np.float32)), 1.0), []
    original = dream._step
    dream._step = lambda *arguments: traced.append(1) or original(*arguments)
    step = dream.compile_step()
    for count in (2, 64, 3, 17):
        step(np.zeros((count, 4 + 16 + 1 + 1 + 8 + 1), np.float32))
    assert traced == [1]
    for count in (1, 2, 5, 64, 100):
        envs = DoomDreams(count, lively, temperature=1 + count)
        envs.reset(seed=0)
        envs.step(np.zeros((count, 1)))
    assert "retracing" not in caplog.text


# --- other processes ----------------------------------------------------------------------------------------

ASYNC = """
import sys
import gymnasium, numpy as np
import doomrnn
envs = gymnasium.make_vec({name!r}, 2, "async", run=sys.argv[1], time_limit=3)
assert "tensorflow" not in sys.modules, "spaces need no TensorFlow"
same = gymnasium.make_vec({name!r}, 2, "vector_entry_point", run=sys.argv[1], time_limit=3)
seen = [envs.reset(seed=5)[0]] + [envs.step(np.zeros((2, 1), np.float32))[0] for _ in range(5)]
envs.close()
ours = [same.reset(seed=5)[0]] + [same.step(np.zeros((2, 1), np.float32))[0] for _ in range(5)]
np.testing.assert_allclose(seen, ours, atol=1e-3)
print("the same")
"""

FORKED = """
import os, sys
import gymnasium, numpy as np
import doomrnn
from experiment.errors import InputError
env = gymnasium.make({name!r}, run=sys.argv[1]).unwrapped
env.reset(seed=1)
child = os.fork()
if child == 0:
    try:
        env.step(np.zeros(1, np.float32))
    except RuntimeError as error:
        print(error, flush=True)
    try:
        gymnasium.make({name!r}, run=sys.argv[1]).reset(seed=1)
    except InputError as error:
        print(error, flush=True)
    os._exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
"""


def test_asynchronous_environments_dream(run):
    """Gymnasium forks for its `async` mode: V and M are loaded in the children, and nobody waits for ever."""
    done = run_command([sys.executable, "-c", ASYNC.format(name=NAME), str(run)], seconds=400)
    assert done.returncode == 0 and done.stdout.strip() == "the same", done.stderr


def test_a_fork_after_tensorflow_has_run_is_refused(run):
    """In one line each, where a dream of the parent is stepped in the child, and where the child makes its own."""
    done = run_command([sys.executable, "-c", FORKED.format(name=NAME), str(run)], seconds=400)
    assert done.returncode == 0, done.stderr
    stepped, made = done.stdout.splitlines()
    assert "belongs to the process that this one was forked from" in stepped
    assert "forked after TensorFlow had run in its parent" in made and "context='spawn'" in made


def test_a_batch_draws_from_each_dreams_own_stream(lively):
    """Stepping some of the dreams leaves the noise of the others where it was."""
    initial, seeds = make_dream(make_model(4, 8)).initial, (1, 2, 3)
    some, all_of = (DreamBatch(lively, initial, 1.0, 3) for _ in range(2))
    for batch in (some, all_of):
        for row, seed in enumerate(seeds):
            batch.begin(row, np.random.default_rng(seed))
    zeros = np.zeros((3, 1), np.float32)
    for _ in range(20):
        all_of.step([0, 1, 2], zeros)
    for _ in range(20):
        some.step([2, 0], zeros[:2])
    for _ in range(20):
        some.step([1], zeros[:1])
    assert np.array_equal(some.state, all_of.state)
