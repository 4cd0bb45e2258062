"""Pendulum: our frame is Gymnasium's, everything else is Gymnasium itself."""

import cv2
import gymnasium
import numpy as np
import pytest
from gymnasium.envs.classic_control.pendulum import PendulumEnv
from gymnasium.utils.env_checker import check_env

import pendulum  # registers the environments
from experiment.errors import InputError
from pendulum.actions import squash
from pendulum.env import Pendulum64, PendulumGame
from pendulum.games import PendulumGames
from pendulum.render import VIEWS, Renderer
from pendulum.scripted import SCRIPTS, PendulumScript


def gymnasiums(angle: float, view: str, torque: float | None = None) -> np.ndarray:
    """Gymnasium's own frame, the middle of it, area-averaged: float [64, 64, 3]."""
    env = PendulumEnv(render_mode="rgb_array")
    env.state, env.last_u = np.array([angle, 0.0]), torque
    margin = (500 - VIEWS[view]) // 2
    whole = env.render()[margin : 500 - margin, margin : 500 - margin]
    env.close()
    return cv2.resize(whole.astype(np.float32), (64, 64), interpolation=cv2.INTER_AREA)


def rod(frame: np.ndarray) -> np.ndarray:
    """Where the rod's red is, on average: (column, row) in pixels."""
    red = np.clip(frame[..., 0].astype(float) - frame[..., 1], 0, None)  # neither white, nor black, has any
    rows, columns = np.indices(red.shape)
    return np.array([(red * columns).sum(), (red * rows).sum()]) / red.sum()


@pytest.mark.parametrize("view", list(VIEWS))
def test_the_frame_is_gymnasiums(view):
    """All around: the rod's place within a quarter of a pixel, and half a grey level on average."""
    render = Renderer(view, "gymnasium")
    for angle in np.linspace(-np.pi, np.pi, 33):
        ours, theirs = render(angle), gymnasiums(angle, view)
        assert np.abs(rod(ours) - rod(theirs)).max() < 0.25, angle
        assert np.abs(ours - theirs).mean() < 0.5, angle


def test_the_difference_would_be_seen():
    """A rod turned by half a step of full speed, or mirrored, is further off; the arrow of a torque is left out."""
    render, theirs = Renderer("close", "gymnasium"), gymnasiums(1.0, "close")
    assert np.abs(rod(render(1.0 + 0.2)) - rod(theirs)).max() > 1
    assert np.abs(rod(render(-1.0)) - rod(theirs)).max() > 5
    assert np.abs(gymnasiums(1.0, "close", torque=2.0) - theirs).mean() > 0.5


def test_the_grey_palette_shows_the_same():
    """Each pixel lies as far between ground and rod as in Gymnasium's colours, give or take their rounding."""
    for angle in (0.0, 1.0, -2.5):
        grey, white = (
            Renderer("whole", "grey")(angle).astype(float),
            Renderer("whole", "gymnasium")(angle).astype(float),
        )
        away = np.hypot(*(np.indices((64, 64)) - 31.5)) > 2  # from the axle
        assert np.abs((grey[..., 0] - 128) / 127 - (white[..., 0] - 255) / (204 - 255))[away].max() < 0.02
        assert np.abs(rod(grey) - rod(white)).max() < 0.1
    assert Renderer()(0.0)[5, 5].tolist() == [128, 128, 128]


def test_physics_and_rewards_are_gymnasiums():
    """Step by step the state and reward of Pendulum-v1 from the same start, hanging or random."""
    for start in ("hanging", "random"):
        game, env = PendulumGame(start=start, time_limit=50), PendulumEnv()
        game.reset(5)
        env.reset(seed=5)
        if start == "hanging":
            assert game.physics.state.tolist() == [np.pi, 0.0]
            env.state = np.array([np.pi, 0.0])
        for step, action in enumerate(PendulumScript("random").actions(np.random.default_rng(1), 50)):
            frame, reward, terminated, truncated = game.step(action)
            assert reward == env.step(action)[1] and (game.physics.state == env.state).all()
            assert (frame == Renderer("close")(env.state[0])).all()
            assert not terminated and truncated == (step == 49)
        with pytest.raises(RuntimeError, match="no episode"):
            game.step(action)


def test_rewards_by_hand():
    """Hanging still costs pi squared a step; a torque of 2 costs 0.004 more."""
    game = PendulumGame()
    game.reset(0)
    assert game.step([0.0])[1] == pytest.approx(-(np.pi**2))
    game.reset(0)
    assert game.step([2.0])[1] == pytest.approx(-(np.pi**2) - 0.004)


def test_random_torques_never_see_it_upright():
    """So the first iteration's M cannot know of it: over 30 episodes the rod stays below the horizontal."""
    game, lowest = PendulumGame(), np.pi
    for seed in range(30):
        game.reset(seed)
        for torque in PendulumScript("random").actions(np.random.default_rng(seed), 200):
            game.step(torque)
            lowest = min(lowest, abs(game.physics.state[0]))
    assert lowest > np.pi / 2


def test_gymnasium_knows_them():
    """The registered id passes Gymnasium's own checks; its frame is Gymnasium's."""
    env = gymnasium.make("WorldModels/Pendulum-v0", render_mode="rgb_array")
    check_env(env.unwrapped, skip_render_check=True)
    observation, info = env.reset(seed=4)
    assert info == {"seed": 4} and (observation == Renderer("close")(np.pi)).all()
    assert env.render().shape == (500, 500, 3)
    env.close()
    assert gymnasium.spec("WorldModels/PendulumDream-v0").entry_point == "pendulum.dream:PendulumDream"
    assert Pendulum64(start="random").reset(seed=1)[0].any() and pendulum.__doc__


def test_a_batch_of_games():
    """Each game goes as it would alone."""
    batch, alone = PendulumGames(3, start="random"), PendulumGame(start="random")
    for index in range(3):
        batch.reset(index, seed=index)
    steps = batch.step([2, 0], np.float32([[1.0], [-2.0]]))
    alone.reset(2)
    frame, reward, *_ = alone.step([1.0])
    assert (steps.observations[0] == frame).all() and steps.rewards[0] == np.float32(reward)
    batch.close()


@pytest.mark.parametrize("action", [[2.1], [np.nan], [0.0, 0.0], "left", 1.0])
def test_a_wrong_action_is_refused(action):
    """A line that says what an action is."""
    game = PendulumGame()
    game.reset(0)
    with pytest.raises(ValueError, match="a torque in"):
        game.step(action)


def test_scripts():
    """Torques in range; a hold lasts up to its limit; a sweep changes sides; unknown ones are refused."""
    for name in SCRIPTS:
        actions = PendulumScript(name).actions(np.random.default_rng(0), 200)
        assert actions.shape == (200, 1) and actions.dtype == np.float32 and np.abs(actions).max() <= 2
    held = PendulumScript("random_hold", max_hold=4).actions(np.random.default_rng(0), 4000)[:, 0]
    lengths = np.diff(np.flatnonzero(np.diff(held)))
    assert lengths.max() == 4 and lengths.mean() == pytest.approx(2.5, abs=0.1)
    tops = [np.abs(PendulumScript("random_hold").actions(np.random.default_rng(n), 200)).max() for n in range(40)]
    assert min(tops) < 0.3 and max(tops) > 1.7  # an amplitude for each episode
    assert PendulumScript("sweep", 3).actions(None, 7)[:, 0].tolist() == [2, 2, 2, -2, -2, -2, 2]
    with pytest.raises(InputError):
        PendulumScript("jump")
    assert squash(np.float32([[-1.0], [0.5]])).tolist() == [[-2.0], [1.0]]
