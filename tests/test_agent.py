"""V, M and C together on real frames: each game its own, whatever is played beside it."""

import re
import shutil

import numpy as np
import pytest
from commands import ROOT, assert_refused
from farm_world import Steps
from samples import striped_frames

from carracing.task import TASK as CARRACING
from controller.agent import Agent, AgentActor, PlayingAgent, load_agent
from controller.checkpoints import check_fits, load_controller, save_controller
from controller.policies import Policy
from controller.policy_spec import PolicyShape
from doomrnn.scripted import TakeCoverScript
from doomrnn.task import TASK as DOOM
from experiment.errors import InputError, NumericalError
from experiment.random_streams import Purpose
from rnn.model import MDNRNN
from rnn.training import load_rnn
from rollouts.game_player import GamePlayer, ScriptActor
from rollouts.rollout import BLOCK, Rollout
from vae.model import VAE
from vae.training import load_vae

Z, H = 64, 512
SIZES = {"doomrnn": (64, 512), "carracing": (32, 256)}  # of the released V's z and M's state
FRAMES = striped_frames(np.random.default_rng(0), 120).reshape(20, 6, 64, 64, 3)  # of six games
WEIGHTS = np.random.default_rng(5).normal(0, 0.05, (6, Z + 2 * H)).astype(np.float32).round(4)


@pytest.fixture(scope="module")
def agent() -> Agent:
    """An untrained V, M and C of Doom's sizes."""
    shape = PolicyShape("zch", Z, H, 1, bias=False)
    return Agent(VAE(Z, seed=3), MDNRNN(Z, 1, H, 5, done_head=True, seed=4), Policy(shape))


def rollout(number: int) -> Rollout:
    """A game with a controller and a stream of its own."""
    return Rollout(number, "real", Purpose.EVALUATE.stream(0, episode=number), WEIGHTS[number])


def actions(agent: Agent, games: list[int], slots: list[int], steps: int = 20) -> dict[int, np.ndarray]:
    """All actions in each of these games, played side by side."""
    actor = AgentActor(agent, 8)
    for game, slot in zip(games, slots, strict=True):
        actor.start(slot, rollout(game), rollout(game).rng())
    found = np.array([actor.act(slots, frames[games]) for frames in FRAMES[:steps]])
    return {game: found[:, row, 0] for row, game in enumerate(games)}


@pytest.mark.rows
def test_a_game_does_not_depend_on_the_others(agent):
    """Alone or among others, in any slot and order: bit-identical actions."""
    expected = actions(agent, [0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5])
    assert len({tuple(game) for game in expected.values()}) == 6
    for games, slots in (([2], [0]), ([2], [7]), ([4, 2], [1, 6]), ([5, 4, 2], [5, 4, 2])):
        found = actions(agent, games, slots)
        assert all(np.array_equal(found[game], expected[game]) for game in games), games


@pytest.mark.rows
def test_games_that_end_leave_the_others_alone(agent):
    """A slot that is restarted begins with a zero state; its neighbours continue."""
    expected = actions(agent, [0, 1, 2], [0, 1, 2])
    fresh = actions(agent, [3], [0], steps=10)[3]
    actor = AgentActor(agent, 3)
    for game in (0, 1, 2):
        actor.start(game, rollout(game), rollout(game).rng())
    for step in range(10):
        actor.act([0, 1, 2], FRAMES[step, :3])
    actor.start(1, rollout(3), rollout(3).rng())
    for step in range(10):
        found = actor.act([0, 1, 2], np.stack([FRAMES[10 + step, 0], FRAMES[step, 3], FRAMES[10 + step, 2]]))
        assert found[:, 0].tolist() == [expected[0][10 + step], fresh[step], expected[2][10 + step]]


def test_a_step_by_hand(agent):
    """z is sampled from V's code, C acts on it and on the state before, and M is then fed both."""
    found = actions(agent, [0, 1], [0, 1], steps=BLOCK + 2)[0]
    rng, shape = rollout(0).rng(), (1, H)
    h, c, restart = np.zeros(shape, np.float32), np.zeros(shape, np.float32), np.ones((1, 1), np.float32)
    for step in range(BLOCK + 2):
        if step % BLOCK == 0:
            eps = rng.standard_normal((BLOCK, Z), np.float32)
        mu, logvar = (np.asarray(part) for part in agent.vae.encode(FRAMES[step, :1].astype(np.float32) / 255))
        z = mu + np.exp(logvar / 2) * eps[step % BLOCK]
        action = np.tanh(np.concatenate([z, c, h], axis=1) @ WEIGHTS[0][:, None])
        assert found[step] == pytest.approx(action[0, 0], abs=1e-5)
        _, h, c = (p if i == 0 else np.asarray(p) for i, p in enumerate(agent.rnn.step(z, action, restart, h, c)))
        restart = np.zeros((1, 1), np.float32)


def test_a_single_game_from_python_is_the_same(agent):
    """`PlayingAgent` acts as the batches do, and the same again after each reset."""
    playing = PlayingAgent(agent, WEIGHTS[0])
    runs = []
    for seed in (3, 3, 4):
        playing.reset(seed)
        runs.append([float(playing.act(FRAMES[step, 0])[0]) for step in range(5)])
    assert runs[0] == runs[1] != runs[2]
    assert np.abs(runs).max() <= 1
    batch, stream = AgentActor(agent, 8), Purpose.LOADED_AGENT.stream(3)
    batch.start(5, Rollout(0, "real", stream, WEIGHTS[0]), stream.generator())
    assert [batch.act([5], frames[:1])[0, 0] for frames in FRAMES[:5]] == runs[0]


def test_a_loaded_agent_is_its_parts():
    """V, M, C's weights and the task's own range of actions, as a run's folders hold them."""
    run = ROOT / "results" / "carracing"
    loaded = load_agent(CARRACING, run, "real-zh-s0")
    shape, weights = load_controller(run / "controller" / "real-zh-s0", "best")
    vae, rnn = load_vae(run / "vae", "float32"), load_rnn(run / "rnn", "float32")  # as scores are played
    parts = Agent(vae, rnn, Policy(shape, CARRACING.squash))
    by_hand, stream = AgentActor(parts, 1), Purpose.LOADED_AGENT.stream(3)
    loaded.reset(3)
    by_hand.start(0, Rollout(0, "real", stream, weights), stream.generator())
    for frames in FRAMES[:4]:
        action = loaded.act(frames[0])
        assert action.tolist() == pytest.approx(by_hand.act([0], frames[:1])[0].tolist(), abs=1e-6)
        assert -1 <= action[0] <= 1 and 0 <= action[1] <= 1 and 0 <= action[2] <= 1


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (DOOM, ("evaluate.py", "doomrnn", "--world", "dream", "--episodes", 2)),
        (DOOM, ("evaluate.py", "doomrnn", "--policy", "agent", "left", "--world", "real", "--episodes", 2)),
        (DOOM, ("measure_dream.py", "--episodes", 2)),
        (DOOM, ("measure_models.py", "--episodes", 1)),
        (DOOM, ("dream_page.py", "--to", "page.html")),
        (CARRACING, ("measure_driving.py", "--world", "dream", "--episodes", 1)),
    ],
)
def test_a_controller_of_another_size(tmp_path, inside, monkeypatch, task, words):
    """One made for an M of 256 units and copied into a run whose M has more is refused in one line, before it plays."""
    monkeypatch.chdir(tmp_path)
    run, folder = tmp_path / "run", tmp_path / "run" / "controller" / "copied"
    for part in ("vae", "rnn", "series", "config.json", "frames.npz"):
        there = ROOT / "results" / task.name / part
        shutil.copytree(there, run / part) if there.is_dir() else shutil.copy(there, run / part)
    sizes = SIZES[task.name]
    shape = task.policy_shape("zch", sizes[0], sizes[1] // 2, 40)
    save_controller(folder, "best", shape, np.zeros(shape.size), {"world": "dream"})
    said = f"{folder}: does not fit {run} (M's units: {sizes[1]} there, {sizes[1] // 2} here)"
    assert_refused(inside(*words, "--run", run, "--controller", "copied"), 2, said)
    assert sorted(path.name for path in run.rglob("*.json*") if "evaluation" in str(path)) == []
    with pytest.raises(InputError, match=re.escape(said)):
        load_agent(task, run)


def test_what_fits(tmp_path):
    """C's z, its actions and, where it sees it, M's state; a C that sees z alone plays with any M of that z."""
    for part in ("vae", "rnn"):
        shutil.copytree(ROOT / "results" / "doomrnn" / part, tmp_path / part)
    folder = tmp_path / "controller" / "c"
    for fits in (PolicyShape("zch", 64, 512, 1, False), PolicyShape("z", 64, 256, 1, True)):
        check_fits(tmp_path, fits, folder, DOOM.action_size)
    for odd, said in (
        (PolicyShape("zh", 64, 256, 1, False), "(M's units: 512 there, 256 here)"),
        (PolicyShape("z", 32, 512, 1, False), "(M's z: 64 there, 32 here; V's z: 64 there, 32 here)"),
        (PolicyShape("z", 64, 512, 3, False), "(M's actions: 1 there, 3 here)"),
    ):
        with pytest.raises(InputError, match=re.escape(f"{folder}: does not fit {tmp_path} {said}; name another one")):
            check_fits(tmp_path, odd, folder)
    with pytest.raises(InputError, match="the task's actions: 3 there, 1 here"):
        check_fits(tmp_path, PolicyShape("z", 64, 512, 1, False), folder, CARRACING.action_size)
    shutil.rmtree(tmp_path / "vae")
    check_fits(tmp_path, PolicyShape("zch", 64, 512, 1, False), folder)
    (tmp_path / "rnn" / "weights.json").unlink()
    with pytest.raises(InputError, match="run scripts/train_rnn.py first"):
        check_fits(tmp_path, PolicyShape("zch", 64, 512, 1, False), folder)


def test_actions_that_are_no_numbers(agent):
    """The rollout and the step are named, and nothing is played with them."""
    actor = AgentActor(agent, 2)
    for game in (0, 1):
        actor.start(game, rollout(game), rollout(game).rng())
    actor.act([0, 1], FRAMES[0, :2])
    actor.start(1, rollout(1)._replace(policy=np.full_like(WEIGHTS[1], np.nan)), rollout(1).rng())
    with pytest.raises(NumericalError, match=r"rollout \(EVALUATE, episode 1, seed 0\) at step 1"):
        actor.act([0, 1], FRAMES[1, :2])


class Recorder:
    """Games that end after a number of steps told by their seed, and remember what was played."""

    def __init__(self, count: int):
        self.played: list[list[float]] = [[] for _ in range(count)]
        self.seeds: list[int] = []
        self._left = [0] * count

    def __len__(self) -> int:
        return len(self.played)

    def reset(self, index: int, seed: int) -> np.ndarray:
        """A game of three to seven steps."""
        self.seeds.append(seed)
        self.played[index], self._left[index] = [], 3 + seed % 5
        return np.full((64, 64, 3), 9, np.uint8)

    def step(self, indices: list[int], chosen: np.ndarray) -> Steps:
        """One step each; the last reward is 5."""
        for index, action in zip(indices, chosen[:, 0], strict=True):
            self.played[index].append(float(action))
            self._left[index] -= 1
        over = np.array([self._left[index] == 0 for index in indices])
        frames = np.stack([np.full((64, 64, 3), len(self.played[index]), np.uint8) for index in indices])
        return Steps(frames, np.where(over, 5.0, 1.0), over, np.zeros_like(over))


def test_the_games_player_by_hand():
    """Slots are refilled, scores are sums of rewards, each rollout plays its own script on its own game."""
    games = Recorder(2)
    player = GamePlayer(games, ScriptActor(2, time_limit=10, action_size=1))
    script = TakeCoverScript("random")
    work = [Rollout(n, "real", Purpose.EVALUATE.stream(0, episode=n), script) for n in range(5)]
    waiting, outcomes = list(work), []
    while waiting or player.live():
        player.add([waiting.pop(0) for _ in range(min(player.room(), len(waiting)))])
        before = {slot: game.rollout for slot, game in player._slots.items()}
        ended = player.advance()
        for slot in set(before) - set(player._slots):
            expected = script.actions(before[slot].rng(), 10)[: len(games.played[slot]), 0]
            assert games.played[slot] == expected.tolist()
        outcomes += ended
    assert sorted(o.id for o in outcomes) == [0, 1, 2, 3, 4]
    assert all(o.score == o.length + 4 and 3 <= o.length <= 7 and o.episode is None for o in outcomes)
    assert len(set(games.seeds)) == 5 and max(games.seeds) < 2**31
