"""The iterative procedure as one command, and the parts it is made of."""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import assert_refused, kill_when, python, run, start
from samples import make_series

from controller.agent import Agent, AgentActor
from controller.checkpoints import load_candidates, load_controller
from controller.cma_es import CMAES
from controller.config import IterateConfig
from controller.iteration import earlier_episodes, explores, following_stages, is_iteration, vae_goes_on
from controller.policies import Policy
from controller.policy_spec import PolicyShape, rounded
from experiment.errors import InputError
from experiment.files import read_sealed, write_sealed
from experiment.random_streams import Purpose
from experiment.runs import Run, load_run, save_run
from pendulum.task import TASK
from rnn.batches import ConcatenatedBatches, EpisodeBatches, draw_episodes
from rnn.model import MDNRNN
from rnn.series import load_series, shard_paths
from rnn.training import load_rnn
from rollouts.rollout import Rollout
from vae.episodes import episode_length, list_episodes, split_episodes
from vae.frames import _shares
from vae.model import VAE

WORDS = ("reproduce.py", "pendulum", "--preset", "smoke", "--iterations", 3, "--ranks", 1)
KILLS = ("iteration-01/rnn/begun.json", "iteration-02/rollouts/begun.json", "iteration-02/series/begun.json")
CLOCKS = (
    "timing.jsonl",
    "events.out",
    "begun.json",
    ".holder.json",
    ".lock",
    "config.json",
    "done.json",
    "manifest.json",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of three iterations of the smoke preset, and what the command said."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    done = run(python(*WORDS, "--run", path), seconds=900)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return path, done.stdout


def results(path):
    """The bytes of every file that is the same whenever it was made, by name."""
    found = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and not any(word in file.name for word in CLOCKS):
            data = file.read_bytes()
            if file.parent.name == "evaluation":
                data = json.dumps(
                    {k: v for k, v in json.loads(data).items() if k not in ("made_with", "commit")}
                ).encode()
            found[str(file.relative_to(path))] = data
    return found


def test_three_iterations(whole):
    """Run folders, a table, its JSON and two figures; each iteration holds all that was seen before it."""
    path, said = whole
    values = json.loads((path / "iterations.json").read_text())
    assert [row["iteration"] for row in values["iterations"]] == [1, 2, 3] and set(values["baselines"]) == {
        "random",
        "stay",
        "sweep22",
    }
    assert all(
        np.isfinite([row["real"], row["dream"], row["error"], row["best_paid"]]).all() for row in values["iterations"]
    )
    for words in ("pendulum, the iterative procedure", "| 3 ", "| sweep22 ", "M's error"):
        assert words in said, said
    assert (path / "iterations.png").stat().st_size > 10_000 and (path / "foresight.png").stat().st_size > 3_000
    runs = [path / f"iteration-{number:02d}" for number in (1, 2, 3)]
    assert [is_iteration(run) for run in runs] == [False, True, True] and vae_goes_on(runs[2])
    counts = [len(list_episodes(run / "rollouts")) for run in runs]
    assert counts == [6, 3, 3]
    training, held_out = earlier_episodes(runs[2])
    assert (len(training), len(held_out)) == (5 + 2, 1 + 1)
    assert sum(map(len, load_series(runs[2] / "before/series", 4, 1))) == 9  # encoded again with this one's V
    first = [(run / "vae/weights.npz").read_bytes() for run in runs]
    assert len(set(first)) == 3  # V goes on
    assert len({load_rnn(run / "rnn").head.kernel.numpy().tobytes() for run in runs}) == 3
    assert [len(list(run.glob("controller/*/best.npz"))) for run in runs] == [2, 2, 2]
    for iteration in runs[1:]:  # M's held-out losses by where the episodes are from
        found = json.loads((iteration / "rnn/done.json").read_text())
        losses = [found[f"{source}_{name}"] for source in ("new", "earlier") for name in ("z", "reward")]
        assert np.isfinite(losses).all() and len(set(losses)) == 4
    seeds = [json.loads((run / "config.json").read_text())["seed"] for run in runs]
    assert seeds == [0, 1, 2]
    for iteration, own in zip(runs, ((0, 1), (1_000_001, 2_000_001), (1_000_002, 2_000_002)), strict=True):
        names = {f"dream-zh-tau1.00-s{seed}" for seed in own}
        assert {folder.name for folder in (iteration / "controller").iterdir()} == names
        found = [json.loads(file.read_text())["controller"] for file in iteration.glob("evaluation/real-dream-*.json")]
        assert set(found) == names and len(found) == 2
        assert len(list(iteration.glob("evaluation/dream-dream-*.json"))) == 2  # each in its own dream


def test_c_goes_on_from_its_old_parameters(whole, searches):
    """The first search starts at the weights of the agent that acted; further ones at 0, as all without `keep_mean`."""
    from train_controller import first_mean

    made = load_run(whole[0] / "iteration-02", TASK.presets["smoke"].stages)
    shape, weights = load_controller(made.path / "before" / "controller", "best")
    assert weights.any() and (first_mean(made, shape) == weights).all()
    fresh = replace(made.stages, iterate=replace(made.stages.iterate, keep_mean=False))
    assert first_mean(replace(made, stages=fresh), shape) is None
    config = made.stages.controller
    for seed, mean in ((1_000_001, weights), (2_000_001, None)):
        folder = made.path / "controller" / f"dream-zh-tau1.00-s{seed}"
        assert ("start" in json.loads((folder / "begun.json").read_text())) == (mean is not None)
        asked = rounded(CMAES(shape.size, config.popsize, config.sigma_init, seed, mean).ask())
        played = load_candidates(folder, shape.size)  # of the only generation, best first
        assert sorted(map(tuple, played)) == sorted(map(tuple, asked))


def test_killed_and_started_again(whole, tmp_path):
    """SIGKILL in three stages and a Ctrl-C: the end is the same, file by file."""
    path = tmp_path / "killed"
    for number, moment in enumerate(KILLS):
        job = start(python(*WORDS, "--run", path))
        kill_when(job, (path / moment).exists, signal.SIGINT if number == 2 else signal.SIGKILL, seconds=600)
    done = run(python(*WORDS, "--run", path), seconds=900)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    mine, theirs = results(path), results(whole[0])
    assert mine.keys() == theirs.keys()
    assert not [name for name in mine if mine[name] != theirs[name]]


def test_again_it_only_reports(whole, inside):
    """A finished procedure is left as it is."""
    before = results(whole[0])
    done = inside(*WORDS, "--run", whole[0])
    assert done.returncode == 0 and "reward" not in done.stderr, done.stderr
    assert done.stdout.count("already finished") == 2 + 6 and results(whole[0]) == before


def test_a_v_that_goes_on_after_it_was_frozen(whole, tmp_path, inside):
    """Frozen twice, V and the series of before are there; then all episodes are, found in the runs that hold them."""
    runs = [tmp_path / name for name in ("second", "third", "fourth", "fifth")]
    second, third, fourth, fifth = runs
    shutil.copytree(whole[0] / "iteration-02", second)  # whose V went on: it holds the episodes of the first
    agent = ("--controller", "dream-zh-tau1.00-s1000001")
    for old, new in ((second, third), (third, fourth)):
        words = ("iterate.py", "pendulum", "--run", old, "--to", new, "--set", "iterate.vae_epochs=0", *agent)
        done = inside(*words)
        assert done.returncode == 0, done.stderr
        assert (new / "vae/weights.npz").read_bytes() == (second / "vae/weights.npz").read_bytes()
        assert not vae_goes_on(new)
        for script, *more in (("encode_series.py",), ("train_rnn.py",), ("train_controller.py", "--seed", 1000001)):
            done = inside(script, "pendulum", "--run", new, *more)
            assert done.returncode == 0, done.stderr
    folders = second / "before/series", second / "series", third / "series"
    shards = [path for folder in folders for path in shard_paths(folder)]
    linked = shard_paths(fourth / "before/series")
    assert len(shards) == len(linked) and all(map(os.path.samefile, shards, linked))

    goes_on = ("iterate.py", "pendulum", "--run", fourth, "--to", fifth, "--set", "iterate.vae_epochs=1", *agent)
    signed = read_sealed(fourth / "before" / "played_by.json")
    lost = f"V cannot go on without the frames before {fourth}, whose V was frozen"
    for record, line in (
        ({"run": "../gone"}, f"{tmp_path / 'gone'}: no run in it; move it back there, since {lost}"),
        ({"rnn": "another"}, f"{third / 'rnn'}: not the M that {fourth} goes on from; {lost}"),
        ({"run": None}, f"played_by.json: does not say which run was before, as older ones; {lost}"),
    ):
        changed = {key: value for key, value in (signed | record).items() if value is not None}
        write_sealed(fourth / "before" / "played_by.json", changed)
        assert_refused(inside(*goes_on), 2, line)
    write_sealed(fourth / "before" / "played_by.json", signed)
    paths = list_episodes(third / "rollouts")
    episode = paths[-1].rename(tmp_path / "episode.npz")
    assert_refused(inside(*goes_on), 2, paths[-1].name)
    (third / "rollouts" / "manifest.json").unlink()  # others in their place, of which no series is
    assert_refused(inside(*goes_on), 2, f"{third / 'rollouts'}: not the episodes that {fourth} goes on from; {lost}")
    assert sorted(path for path in tmp_path.iterdir() if path.is_dir()) == sorted(runs[:3])
    episode.rename(paths[-1])

    done = inside(*goes_on)
    assert done.returncode == 0, done.stderr
    own = zip(runs[:3], (1, 2, 3), strict=True)
    expected = [split_episodes(list_episodes(run / "rollouts"), seed) for run, seed in own]
    expected = [earlier_episodes(second), *expected]
    for found, kind in zip(earlier_episodes(fifth), (0, 1), strict=True):
        paths = [path for each in expected for path in each[kind]]
        assert len(found) == len(paths) and all(map(os.path.samefile, found, paths))
    done = inside("train_vae.py", "pendulum", "--run", fifth)
    assert (
        done.returncode == 0 and (fifth / "vae/weights.npz").read_bytes() != (second / "vae/weights.npz").read_bytes()
    )


def test_an_iterations_v_starts_from_no_other(whole, tmp_path, inside):
    """It goes on from the one before; what --set names would be ignored."""
    first = whole[0] / "iteration-01"
    words = ("iterate.py", "pendulum", "--run", first, "--to", tmp_path / "new", "--set", f"vae.start={first}")
    assert_refused(inside(*words), 2, "vae.start", "goes on from that of", "leave it out")
    assert not (tmp_path / "new").exists()
    begun = tmp_path / "begun"
    shutil.copytree(whole[0] / "iteration-02", begun)
    shutil.rmtree(begun / "vae")
    assert_refused(inside("train_vae.py", "pendulum", "--run", begun, *words[-2:]), 2, "vae.start", "leave it out")


def test_later_settings_reach_later_iterations(whole, tmp_path, inside):
    """Those of `iterate` and of C count from the next iteration on; what only the first could take is refused."""
    path = tmp_path / "runs"
    shutil.copytree(whole[0], path)
    words = ("reproduce.py", "pendulum", "--run", path, "--ranks", 1, "--no_report", "--iterations")
    settings = ("--set", "iterate.rnn_epochs=2", "--set", "controller.rollouts=3")
    before = results(path)
    for said, hint in (("rnn.epochs=5", "iterate.rnn_epochs"), ("env.time_limit=50", "leave it out")):
        assert_refused(inside(*words, 4, "--set", said), 2, said, hint)
    done = inside(*words, 3, *settings)
    assert done.returncode == 0 and "of no effect, no iteration is left to begin" in done.stdout, done.stderr
    assert results(path) == before
    done = inside(*words, 4, *settings)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "iterate.rnn_epochs=2, controller.rollouts=3: from iteration 4 on" in done.stdout
    stages = [json.loads((path / f"iteration-0{n}/config.json").read_text())["stages"] for n in (1, 2, 3, 4)]
    assert [s["controller"]["rollouts"] for s in stages] == [2, 2, 2, 3]
    assert [s["rnn"]["epochs"] for s in stages] == [2.0, 1.0, 1.0, 2.0]
    after = results(path)
    assert not [name for name in before if after[name] != before[name] and name != "iteration-03/timing.jsonl"]


# --- parts ---


@pytest.fixture
def searches():
    """The module of that name."""
    from running import searches

    return searches


def finished_search(run, name, score, validation_games=0):
    """Write the records of a finished search."""
    folder = run.path / "controller" / name
    folder.mkdir(parents=True)
    config = vars(replace(run.stages.controller, validation_games=validation_games))
    write_sealed(folder / "begun.json", {"controller": config, "world": "dream", "seed": 0, "temperature": 1.0})
    write_sealed(folder / "done.json", {"generations": 1, "best_generation": 1, "best_score": score})


def test_only_the_procedures_own_searches_act(tmp_path, searches):
    """A controller of another temperature, variant or seed never does, however high its score."""
    stages = replace(TASK.presets["smoke"].stages, iterate=IterateConfig(searches=2))
    first = Run(tmp_path / "iteration-01", "pendulum", "smoke", 0, stages)
    for name, score in (("zh-tau1.00-s0", 1.0), ("zh-tau1.00-s1", 2.0)):
        finished_search(first, f"dream-{name}", score)
    for name in ("zh-tau0.10-s0", "z-tau1.00-s0", "zh-tau1.00-s2"):
        finished_search(first, f"dream-{name}", 9.0)
    assert searches.agent_of(first) == "dream-zh-tau1.00-s1"
    (tmp_path / "iteration-02" / "before").mkdir(parents=True)
    write_sealed(tmp_path / "iteration-02" / "before" / "played_by.json", {"controller": "dream-zh-tau1.00-s0"})
    assert searches.agent_of(first) == "dream-zh-tau1.00-s0"  # who has acted
    with pytest.raises(InputError, match="none of dream-zh-tau1.00-s7, dream-zh-tau1.00-s8 is finished"):
        searches.best_controller(replace(first, seed=7))


def test_progress_by_validation(tmp_path, searches, whole):
    """The mean over the searches where all have validation episodes, else the agent's real score."""
    stages = replace(TASK.presets["smoke"].stages, iterate=IterateConfig(searches=2))
    runs = [Run(tmp_path / f"iteration-0{n}", "pendulum", "smoke", 0, stages) for n in (1, 2)]
    for made, scores in zip(runs, ((1.0, 2.0), (4.0, 5.0)), strict=True):
        for seed, score in enumerate(scores):
            finished_search(made, f"dream-zh-tau1.00-s{seed}", score, validation_games=4)
    assert searches.progress(runs) == ("mean validation score of its searches", [1.5, 4.5])
    real = [load_run(whole[0] / f"iteration-0{n}", stages) for n in (1, 2)]
    what, scores = searches.progress(real)
    assert what == "return" and scores == [searches.real_score(r, searches.agent_of(r)).mean for r in real]
    with pytest.raises(InputError, match="no real score of dream-zh-tau1.00-s0"):
        searches.real_score(runs[0], "dream-zh-tau1.00-s0")


def test_the_first_failure_ends_the_others(searches, inside, capfd):
    """Whichever it is; the code is its own, and what the others said is printed; without one all are waited for."""
    from running.procedure import Lane, finish_all

    def lanes(*programs: str) -> list[Lane]:
        return [Lane(f"seed {n}", [sys.executable, "-c", program]) for n, program in enumerate(programs)]

    endless = "import time; print('here', flush=True); time.sleep(600)"
    made, started = lanes(endless, "import time; time.sleep(1); raise SystemExit(3)", endless), time.monotonic()
    assert finish_all(made) == 3 and time.monotonic() - started < 60
    assert [lane.code for lane in made] == [-signal.SIGTERM, 3, -signal.SIGTERM]
    assert "seed 2: here" in capfd.readouterr().out
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert finish_all(lanes(endless, killed)) == 1 and "failed: seed 1 was killed by SIGKILL" in capfd.readouterr().err
    assert finish_all(lanes("print('one')", "import time; time.sleep(0.5); print('two')")) == 0
    assert sorted(capfd.readouterr().out.splitlines()) == ["seed 0: one", "seed 1: two"]


def test_without_a_seed_what_is_begun_goes_on(tmp_path, searches, inside, monkeypatch):
    """With its own, and a seed that is added follows from it; another one is refused as before."""
    from running import procedure

    for number, seed in ((0, 5), (1, 1005)):
        path = searches.iteration_path(tmp_path / f"seed-{number}", 1)
        save_run(Run(path, "pendulum", "smoke", seed, TASK.presets["smoke"].stages))
        write_sealed(path / "rollouts" / "begun.json", {})
        (path / "rollouts" / "episode-000000.npz").write_text("one")
    ran, started = [], []
    monkeypatch.setattr(procedure.Procedure, "run", lambda self: ran.append(self.first.seed))
    monkeypatch.setattr(procedure, "Lane", lambda name, command: started.append(command))
    monkeypatch.setattr(procedure, "finish_all", lambda lanes: 0)
    said = {"task": "pendulum", "preset": None, "iterations": 1, "ranks": 1, "temperature": None, "overrides": []}
    said |= {"no_report": True, "lane": True}
    procedure.iterate(argparse.Namespace(**said, run=tmp_path / "seed-0", seeds=1, seed=None))
    assert ran == [5]
    procedure.iterate(argparse.Namespace(**said, run=tmp_path, seeds=3, seed=None))
    assert [command[command.index("--seed") + 1] for command in started] == ["5", "1005", "2005"]
    assert procedure.run_seeds(7, [tmp_path / "seed-0", tmp_path / "seed-1"]) == [7, 1007]
    assert procedure.run_seeds(None, [tmp_path / "a", tmp_path / "b"]) == [0, 1000]
    with pytest.raises(InputError, match="seed is 5, requested 7"):
        procedure.iterate(argparse.Namespace(**said, run=tmp_path / "seed-0", seeds=1, seed=7))


def test_a_seed_among_several_stands_for_itself_by_its_agent(whole, tmp_path, searches, inside):
    """The best of its searches by its own score: no other one is evaluated."""
    from running.procedure import Procedure

    folder = tmp_path / "seed-0"
    shutil.copytree(whole[0] / "iteration-01", folder / "iteration-01")
    shutil.rmtree(folder / "iteration-01" / "evaluation")
    said = {"task": "pendulum", "run": tmp_path, "preset": None, "seed": None, "iterations": 1, "ranks": 1}
    first = Procedure(argparse.Namespace(**said, temperature=None, overrides=[]), folder, 0).iteration(1)
    assert len(searches.search_names(first)) == 2
    found = [json.loads(file.read_text()) for file in first.path.glob("evaluation/*-dream-zh-*.json")]
    assert {e["controller"] for e in found} == {searches.best_controller(first)}
    assert {e["world"] for e in found} == {"real", "dream"} and len(found) == 2


def test_a_finished_first_iteration_keeps_its_settings(whole, tmp_path, searches, inside, capfd):
    """With no other one after it: C's settings wait for the next, those of `iterate` and the temperature reach it."""
    from running.procedure import Procedure

    shutil.copytree(whole[0] / "iteration-01", tmp_path / "iteration-01")
    said = {"task": "pendulum", "run": tmp_path, "preset": None, "seed": None, "iterations": 2, "ranks": 1}
    words = ["controller.validation_games=4", "iterate.searches=3", "rnn.epochs=2"]
    procedure = Procedure(argparse.Namespace(**said, temperature=None, overrides=words), tmp_path, 0)
    stages = procedure.first.stages
    assert (stages.controller.validation_games, stages.iterate.searches) == (0, 3)
    procedure._say_what_waits()
    line = "--set controller.validation_games=4: from iteration 2 on; those begun before keep their settings"
    assert capfd.readouterr().out.strip() == line
    with pytest.raises(InputError, match="controller.generations=9: .*or --set iterate.generations"):
        Procedure(argparse.Namespace(**said, temperature=None, overrides=["controller.generations=9"]), tmp_path, 0)
    other = Procedure(argparse.Namespace(**said, temperature=[0.5], overrides=[]), tmp_path, 0)
    assert searches.search_names(other.first) == ["dream-zh-tau0.50-s0", "dream-zh-tau0.50-s1"]


def test_the_folders_of_several_seeds(tmp_path, monkeypatch, searches):
    """By their whole name, also where it is not said."""
    assert searches.is_lane(tmp_path / "seed-12") and not searches.is_lane(tmp_path / "seed-study")
    (tmp_path / "seed-3").mkdir()
    monkeypatch.chdir(tmp_path / "seed-3")
    assert searches.is_lane(Path(".")) and not searches.is_lane(Path(".."))


def test_no_two_searches_share_a_seed(tmp_path, searches):
    """Of twenty seeds of a procedure, a hundred iterations and five searches each."""
    stages = replace(TASK.presets["smoke"].stages, iterate=IterateConfig(searches=5))
    first, later = tmp_path / "first", tmp_path / "later"
    (later / "before").mkdir(parents=True)
    seeds = [
        seed
        for lane in range(20)
        for n in range(100)
        for seed in searches.search_seeds(Run(later if n else first, "pendulum", "smoke", 1000 * lane + n, stages))
    ]
    assert len(set(seeds)) == len(seeds) == 20 * 100 * 5 and seeds[:5] == [0, 1, 2, 3, 4]


def test_settings_of_the_next_iteration():
    """Those of `iterate` replace those of the stages; V's stay where it is frozen."""
    stages = replace(TASK.presets["paper"].stages, iterate=IterateConfig(episodes=7, vae_epochs=0.25, generations=3))
    following = following_stages(stages)
    assert (following.collect.episodes, following.vae.epochs, following.controller.generations) == (7, 0.25, 3)
    assert following.rnn.epochs == 2.0 and following_stages(following) == following
    assert following.vae.max_frames == stages.vae.max_frames
    went_on = replace(stages, vae=replace(stages.vae, start="another run"))  # the next one goes on from this one's V
    assert following_stages(went_on) == following
    fewer = replace(stages, iterate=IterateConfig(vae_epochs=0.25, vae_max_frames=900))
    assert following_stages(fewer).vae.max_frames == 900
    frozen = replace(stages, iterate=IterateConfig(vae_max_frames=900))
    assert following_stages(frozen).vae == stages.vae
    with pytest.raises(InputError, match="new_share"):
        IterateConfig(new_share=1.5)


def test_exploring_is_spread_evenly():
    """By hand: half of the episodes, a quarter, none, all."""
    assert [explores(n, 0.5) for n in range(4)] == [False, True, False, True]
    assert [explores(n, 0.25) for n in range(8)] == [False, False, False, True] * 2
    assert not any(explores(n, 0.0) for n in range(9)) and all(explores(n, 1.0) for n in range(9))


def test_new_episodes_make_up_their_share():
    """Two new episodes of ten steps among eight old ones: half the epoch by size, in whole rounds; 0 is each once."""
    rng = np.random.default_rng(0)
    drawn = draw_episodes([10] * 10, new=2, new_share=0.5, rng=rng)
    assert len(drawn) == 10 and sorted(n for n in drawn if n < 2) in ([0, 0, 0, 1, 1], [0, 0, 1, 1, 1])
    assert len({n for n in drawn if n >= 2}) == 5
    assert sorted(draw_episodes([10] * 10, 2, 0.0, rng)) == list(range(10))
    sizes = [7, 3, 9, 4]
    drawn = draw_episodes(sizes, 1, 0.7, rng)
    assert sum(sizes[n] for n in drawn) >= sum(sizes) and sum(7 for n in drawn if n == 0) >= 0.7 * sum(sizes)


def test_batches_hold_their_share():
    """Both regimes keep their number of batches, and half the steps are of the one new episode."""
    series = make_series([6] * 8, noise=False)
    joined = ConcatenatedBatches(series, 2, 4, 0, new=1, new_share=0.5)
    steps = np.concatenate([batch.z[:, :-1, 0].ravel() for epoch in range(20) for batch in joined.epoch(epoch)])
    assert joined.per_epoch == 5 and np.mean(steps == 0) == pytest.approx(0.5, abs=0.06)
    whole = EpisodeBatches(series, 2, 6, 0, new=1, new_share=0.5)
    rows = np.concatenate([batch.z[:, 0, 0] for epoch in range(20) for batch in whole.epoch(epoch)])
    assert whole.per_epoch == 4 and np.mean(rows == 0) == 0.5


def test_shares_of_frames_by_hand():
    """Of 40 frames wanted half are of the new episode, which has only 10; the rest is even over the old ones."""
    assert _shares(np.array([10, 20, 60]), 40, 1, 0.5).tolist() == [1.0, 0.25, 0.25]
    assert _shares(np.array([100, 20, 60]), 40, 1, 0.5).tolist() == [0.2, 0.25, 0.25]
    assert _shares(np.array([10, 20, 60]), 45, 1, 0.0).tolist() == [0.5, 0.5, 0.5]


def test_cma_es_from_a_mean():
    """The search starts at the weights given."""
    mean = np.arange(6.0)
    assert (CMAES(6, 8, 0.1, seed=1, mean=mean).mean == mean).all()
    shifted, centred = CMAES(6, 8, 0.1, seed=1, mean=mean).ask(), CMAES(6, 8, 0.1, seed=1).ask()
    assert np.allclose(shifted - mean, centred)


def test_noise_on_outputs():
    """Added before squashing, and the outputs stay in [-1, 1]."""
    policy = Policy(PolicyShape("z", 2, 1, 1, bias=False), lambda outputs: 2 * outputs)
    weights, z = np.float32([[0.5, 0.0]] * 3), np.float32([[1.0, 0.0]] * 3)
    acted = np.asarray(policy.act(weights, z, z, z, np.float32([[0.1], [9.0], [-9.0]])))[:, 0]
    assert np.allclose(acted, [2 * (np.tanh(0.5) + 0.1), 2.0, -2.0])


def test_exploring_noise_wanders():
    """A controller of zeros acts on its noise alone: of the standard deviation asked, nine tenths kept a step."""
    shape = PolicyShape("zh", 4, 8, 1, bias=True)
    rnn = MDNRNN(z_size=4, action_size=1, hidden_size=8, reward_head=True)
    actor = AgentActor(Agent(VAE(4), rnn, Policy(shape), noise=0.2), 16)
    for slot in range(16):
        stream = Purpose.EVALUATE.stream(0, episode=slot)
        actor.start(slot, Rollout(slot, "explore", stream, np.zeros(shape.size, np.float32)), stream.generator())
    frames = np.zeros((16, 64, 64, 3), np.uint8)
    noise = np.stack([actor.act(list(range(16)), frames)[:, 0] for _ in range(120)])
    assert np.abs(noise).max() < 1 and noise[30:].std() == pytest.approx(0.2, rel=0.2)
    assert np.corrcoef(noise[:-1].ravel(), noise[1:].ravel())[0, 1] == pytest.approx(0.9, abs=0.04)


def test_candidates_are_kept(whole):
    """The last generation of an agent's search, as it was played; every episode of the next iteration is whole."""
    for controller in (whole[0] / "iteration-01/controller").iterdir():
        weights = load_candidates(controller, 4 + 16 + 1)
        assert len(weights) == 4 and (weights == rounded(weights)).all()
    assert {episode_length(path) for path in list_episodes(whole[0] / "iteration-02/rollouts")} == {40}


def test_bad_input(tmp_path, inside):
    """One line each, and nothing is made."""
    words = ("reproduce.py", "pendulum", "--run", tmp_path / "x")
    assert_refused(inside(*words, "--preset", "smoke", "--iterations", 0), 2, "--iterations")
    assert_refused(inside(*words, "--iterations", 2, "--ranks", 1), 2, "no run there yet")
    lone = ("reproduce.py", "pendulum", "--preset", "smoke", "--iterations", 2, "--ranks", 1, "--run")
    assert_refused(inside(*lone, tmp_path / "seed-5"), 2, "seed-5: a folder named so holds one of several seeds")
    assert not list(tmp_path.iterdir())
