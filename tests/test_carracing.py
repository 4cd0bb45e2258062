"""CarRacing: our observation is Gymnasium's, everything else is Gymnasium itself."""

import copy
import resource
import warnings
from pathlib import Path

import Box2D
import gymnasium
import numpy as np
import pytest
from gymnasium.envs.box2d.car_dynamics import Car
from gymnasium.utils.env_checker import check_env
from samples import write_run

import carracing
from carracing.actions import squash
from carracing.dream import CarRacingDream
from carracing.env import CarRacing64, CarRacingGame, Circuit, definitions_made_once
from carracing.games import CarRacingGames
from carracing.render import ACROSS, DOWN, KEPT_ROWS, PALETTE, Renderer, Road, resize
from carracing.scripted import SCRIPTS, CarRacingScript
from experiment.errors import InputError
from experiment.random_streams import Purpose
from rnn.model import MDNRNN
from rnn.series import InitialLatents
from rollouts.game_player import GamePlayer, ScriptActor
from rollouts.rollout import Rollout
from vae.model import VAE

WORST = 0.6  # grey levels, of a whole frame


def drive(name: str, seed: int, steps: int) -> np.ndarray:
    """Actions float32 [steps, 3] of a script, or of one of two drivers that get further."""
    if name == "spin":
        return np.tile(np.float32([1.0, 0.6, 0.0]), (steps, 1))
    if name == "straight":
        return np.tile(np.float32([0.0, 1.0, 0.0]), (steps, 1))
    return CarRacingScript(name).actions(np.random.default_rng(seed), steps)


# --- the observation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "steps", "every"), [("brownian", 160, 2), ("spin", 120, 4), ("straight", 170, 4)])
def test_the_observation_is_gymnasiums(name, steps, every):
    """The zoom of the first second, bends, grass, spins and the field's edge: mean 0.2 grey levels, never above 0.6."""
    circuit, renderer = Circuit(None), Renderer("v3")
    differences = []
    for seed in (6, 11):
        circuit.reset(seed=seed)
        road = Road(circuit)
        for step, action in enumerate(drive(name, seed, steps)):
            circuit.step(action)
            if step < 10 or step % every == 0:
                ours = renderer.cropped(circuit, road).astype(int)
                differences.append(np.abs(ours - circuit.observation).mean())
    assert np.mean(differences) < 0.2 and max(differences) < WORST
    circuit.close()


def test_the_difference_would_be_seen():
    """A frame one step old, or of a track without its borders, is further off than ours, after the zoom too."""
    circuit, renderer = Circuit(None), Renderer("v3")
    circuit.reset(seed=6)
    road = Road(circuit)
    bare, red_or_white = copy.copy(road), (road.shades == (255, 0, 0)).all(1) | (road.shades == 255).all(1)
    assert 0 < red_or_white.sum() < len(red_or_white) / 2
    bare.vertices, bare.places, bare.shades = (
        part[~red_or_white] for part in (road.vertices, road.places, road.shades)
    )
    late, without, ours, before = [], [], [], None
    for step, action in enumerate(drive("straight", 1, 170)):
        circuit.step(action)
        frame = renderer.cropped(circuit, road).astype(int)
        if step > 60:
            late.append(np.abs(before - circuit.observation).mean())
            without.append(np.abs(renderer.cropped(circuit, bare).astype(int) - circuit.observation).mean())
            ours.append(np.abs(frame - circuit.observation).mean())
        before = frame
    assert min(max(late), max(without)) > WORST > max(ours)
    assert min(np.mean(late), np.mean(without)) > 0.2 > np.mean(ours)
    circuit.close()


def test_the_whole_frame_and_its_crop():
    """The 96 x 96 observation above the bar of instruments, and what V sees of it."""
    circuit, renderer = Circuit(None), Renderer("v3")
    frame, _ = circuit.reset(seed=3)
    for action in drive("brownian", 3, 40):
        frame = circuit.step(action)[0]
    road = Road(circuit)
    samples = PALETTE[renderer._render(circuit, road)]  # DOWN x ACROSS of them in a pixel
    whole = np.zeros((96, 96, 3), np.uint8)
    whole[:KEPT_ROWS] = np.round(samples.reshape(KEPT_ROWS, DOWN, 96, ACROSS, 3).mean((1, 3)))
    assert np.abs(whole[:KEPT_ROWS].astype(int) - frame[:KEPT_ROWS]).mean() < 1.5
    assert np.abs(resize(whole).astype(int) - renderer.cropped(circuit, road)).max() <= 1
    circuit.close()


def test_resize_by_hand():
    """Area-averaged: three columns make two, 21 rows make 16."""
    frame = np.zeros((96, 96, 3), np.uint8)
    frame[:, 0] = 90
    assert resize(frame)[5, :3, 0].tolist() == [60, 0, 0]
    frame = np.zeros((96, 96, 3), np.uint8)
    frame[0] = 210
    assert resize(frame)[:3, 7, 1].tolist() == [160, 0, 0]
    frame[84:] = 255
    assert resize(frame)[63].max() == 0


def road_width(view: str) -> int:
    """Grey pixels of the row ahead of a car on the start line."""
    game = CarRacingGame(view=view)
    game.reset(5)
    for _ in range(60):  # the zoom of the first second is over
        observation = game.step(np.float32([0, 0, 0]))[0]
    row = observation[30].astype(int)
    game.close()
    return int((np.abs(row - row.mean(axis=1, keepdims=True)).max(axis=1) < 8).sum())


def test_the_view_of_2018_is_wider():
    """A window of 1,200 pixels for 1,000 shows the road at five sixths of its width."""
    now, then = road_width("v3"), road_width("v0")
    assert then / now == pytest.approx(5 / 6, abs=0.08)


def test_the_camera_of_2018_looks_where_the_car_goes():
    """Sliding sideways rotates the view of 2018, not the new one."""
    circuit = Circuit("v3")
    circuit.reset(seed=2)
    for action in drive("straight", 0, 80):
        circuit.step(action)
    road = circuit._road
    before = {view: Renderer(view).cropped(circuit, road).astype(int) for view in ("v3", "v0")}
    vx, vy = circuit.car.hull.linearVelocity
    circuit.car.hull.linearVelocity = (vx - vy, vx + vy)  # the velocity alone rotates by 45 degrees
    after = {view: Renderer(view).cropped(circuit, road) for view in ("v3", "v0")}
    assert np.abs(after["v3"] - before["v3"]).max() == 0 and np.abs(after["v0"] - before["v0"]).mean() > 5
    circuit.close()


# --- the environment ----------------------------------------------------------------------------------------


def test_physics_and_rewards_are_gymnasiums_own():
    """The same seed and actions: the same rewards, positions and end as CarRacing-v3, bit-identical."""
    theirs = gymnasium.make("CarRacing-v3").unwrapped
    game = CarRacingGame()
    for seed, name in ((4, "brownian"), (6, "straight")):
        theirs.reset(seed=seed)
        game.reset(seed)
        assert [tuple(point) for point in theirs.track] == [tuple(point) for point in game.circuit.track]
        for action in drive(name, seed, 200):
            _, reward, terminated, _, _ = theirs.step(action)
            _, our_reward, our_terminated, truncated = game.step(action)
            assert (reward, terminated, False) == (our_reward, our_terminated, truncated)
            hulls = theirs.car.hull, game.circuit.car.hull
            assert tuple(hulls[0].position) == tuple(hulls[1].position) and hulls[0].angle == hulls[1].angle
            if terminated:
                break
        assert terminated == (name == "straight")  # off the field, at -100
        assert name != "straight" or reward < -99
    theirs.close()
    game.close()


def test_recording_continues_to_the_last_frame():
    """What ends an episode otherwise is ignored, and the limit truncates."""
    game = CarRacingGame(time_limit=200, endless=True)
    game.reset(6)
    results = [game.step(action)[1:] for action in drive("straight", 6, 200)]
    assert [ends for _, *ends in results] == [[False, False]] * 199 + [[False, True]]
    rewards = [reward for reward, *_ in results]
    assert sum(reward < -99 for reward in rewards) == 1 and not any(rewards[rewards.index(min(rewards)) + 1 :])
    with pytest.raises(RuntimeError, match="reset"):
        game.step(np.zeros(3))
    game.close()


def test_gymnasiums_renderer_can_be_chosen():
    """It is theirs, resized by us; ours differs from it by a little."""
    games = [CarRacingGame(renderer=renderer) for renderer in ("fast", "gymnasium")]
    firsts = [game.reset(8).astype(int) for game in games]
    assert 0 < np.abs(firsts[0] - firsts[1]).mean() < 1.5
    for game in games:
        game.close()


def test_environments_of_a_batch_play_as_alone():
    """Rewards and observations of one do not depend on its neighbours, or on earlier episodes."""
    games, alone = CarRacingGames(3, time_limit=50), CarRacingGame(time_limit=50)
    actions = drive("brownian", 1, 30)
    for index in range(3):
        games.reset(index, 10 + index)
    games.step([1], actions[:1])
    games.reset(1, 99)
    first = alone.reset(99)
    assert np.array_equal(first, alone.circuit.observation)
    for step, action in enumerate(actions):
        steps = games.step([2, 1], np.stack([actions[-1 - step], action]))
        observation, reward, *_ = alone.step(action)
        assert np.array_equal(steps.observations[1], observation) and steps.rewards[1] == np.float32(reward)
    with pytest.raises(ValueError, match="count"):
        CarRacingGames(0)


@pytest.mark.parametrize(
    "action", [[np.nan, 0, 0], [0, np.inf, 0], [1.5, 0, 0], [0, -0.1, 0], [0, 0, 1.01], [0, 0], [[0, 0, 0]], "left"]
)
def test_actions_that_cannot_be(action):
    """One clear line, and the car has not moved."""
    game = CarRacingGame()
    game.reset(0)
    position = tuple(game.circuit.car.hull.position)
    with pytest.raises(ValueError, match="action must be three numbers"):
        game.step(action)
    assert tuple(game.circuit.car.hull.position) == position
    game.close()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"renderer": "opengl"}, "no renderer 'opengl'"),
        ({"view": "v9"}, "'v9'"),
        ({"renderer": "gymnasium", "view": "v0"}, "v3"),
        ({"time_limit": 0}, "time_limit"),
    ],
)
def test_settings_that_cannot_be(settings, words):
    """They are refused when the environment is made."""
    with pytest.raises(ValueError, match=words):
        CarRacingGame(**settings)


def test_gymnasiums_checker_passes():
    """Registered, and in order."""
    env = gymnasium.make("WorldModels/CarRacing-v0", render_mode="rgb_array", time_limit=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check_env(env.unwrapped)
    assert carracing.__name__ in env.spec.entry_point
    env.reset(seed=1)
    assert env.render().shape == (400, 600, 3)
    env.close()
    with pytest.raises(ValueError, match="render_mode"):
        CarRacing64(render_mode="human")


# --- policies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_stay_in_range(name):
    """All actions are in the action space; the stream alone makes the script."""
    actions = CarRacingScript(name).actions(np.random.default_rng(3), 500)
    assert actions.shape == (500, 3) and actions.dtype == np.float32
    assert (np.abs(actions) <= 1).all() and (actions[:, 1:] >= 0).all()
    assert np.array_equal(actions, CarRacingScript(name).actions(np.random.default_rng(3), 500))
    assert name == "stay" or not np.array_equal(actions, CarRacingScript(name).actions(np.random.default_rng(4), 500))


def test_a_habit_belongs_to_an_episode():
    """The agent's arithmetic on noise, with Cauchy weights of a scale up to 0.01 that are the episode's own."""
    for seed in range(5):
        actions = CarRacingScript("habit").actions(np.random.default_rng(seed), 100)
        rng = np.random.default_rng(seed)
        cauchy, scale, eps = rng.standard_cauchy((33, 3)), rng.uniform(0, 0.01), rng.standard_normal((100, 32))
        steer, gas, brake = np.tanh(eps @ (cauchy[1:] * scale) + cauchy[0] * scale).T
        assert np.allclose(actions, np.stack([steer, (gas + 1) / 2, np.maximum(brake, 0)], axis=1), atol=1e-6)


def test_a_random_walk_has_small_steps():
    """No jumps, and both ends are reached in the long run."""
    steer = CarRacingScript("brownian").actions(np.random.default_rng(0), 3000)[:, 0]
    assert np.abs(np.diff(steer)).max() < 0.8 and steer.min() < -0.9 and steer.max() > 0.9


def test_squash_by_hand():
    """Steer as it is, gas from [-1, 1] to [0, 1], brake clipped at 0."""
    found = np.asarray(squash(np.float32([[-1, -1, -1], [0.5, 0, 0.25], [1, 1, 1]])))
    assert found.tolist() == [[-1, 0, 0], [0.5, 0.5, 0.25], [1, 1, 1]]


def test_unknown_scripts_are_refused():
    """By name, with those that there are."""
    with pytest.raises(InputError, match="habit"):
        CarRacingScript("left")


# --- the dream ----------------------------------------------------------------------------------------------


def test_the_dream_is_an_environment(tmp_path):
    """Registered; [z, c, h] of 544 numbers, M's expected reward, truncated at its limit."""
    model = MDNRNN(32, 3, 256, 5, seed=1, reward_head=True)
    write_run(tmp_path, VAE(32, seed=2), model, InitialLatents(*np.zeros((2, 3, 32), np.float32)))
    env = gymnasium.make("WorldModels/CarRacingDream-v0", run=tmp_path, time_limit=20, render_mode="rgb_array")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # z, c and h have no bounds
        check_env(env.unwrapped)
    env.reset(seed=1)
    results = [env.step(env.action_space.sample()) for _ in range(20)]
    assert results[0][0].shape == (544,) and [r[2:4] for r in results[-2:]] == [(False, False), (False, True)]
    assert len({r[1] for r in results}) == 20
    assert env.render().shape == (64, 64, 3)
    with pytest.raises(InputError, match="temperature"):
        CarRacingDream(tmp_path, temperature=-1)


def test_resets_do_not_eat_memory():
    """Cars come and go without growth (Gymnasium's own would leave 4.9 MB behind), and are the same cars."""
    world = Box2D.b2World((0, 0))

    def build(count: int) -> list[float]:
        with definitions_made_once():
            for _ in range(count):
                car = Car(world, 0.1, 1.0, 2.0)
                masses = [body.mass for body in (car.hull, *car.wheels)]
                car.destroy()
        return masses

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()

    masses, before = build(200), resident()
    build(2000)
    assert resident() - before < 1_000_000
    theirs = Car(world, 0.1, 1.0, 2.0)
    assert masses == [body.mass for body in (theirs.hull, *theirs.wheels)]


@pytest.mark.parametrize(
    ("stream", "ends"),
    [
        (Purpose.FITNESS.stream(0, generation=1, candidate=0, rollout=0), True),
        (Purpose.MEAN.stream(0, rollout=1), False),
    ],
)
def test_a_training_rollout_that_earns_nothing_ends_early_and_counts_as_if_it_had_not(stream, ends):
    """A car that stands still: 20 steps after its first tile with a limit on the stall; an evaluation stays whole."""
    outcomes = []
    for stall in (0, 20):
        player = GamePlayer(
            CarRacingGames(1, time_limit=60), ScriptActor(1, time_limit=60, action_size=3), stall=stall, time_limit=60
        )
        player.add([Rollout(0, "real", stream, CarRacingScript("stay"))])
        ended = []
        while not ended:
            ended = player.advance()
        player.games.close()
        outcomes += ended
    whole, short = outcomes
    assert (whole.length, short.length) == (60, 21 if ends else 60)
    assert short.score == pytest.approx(whole.score)
