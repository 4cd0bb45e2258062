"""The real take cover: its observations, its rules, its seeds, many games at once."""

import hashlib
import subprocess
import sys
import warnings

import cv2
import gymnasium
import numpy as np
import pytest
from commands import ROOT, TESTS
from doom_play import actions, play
from gymnasium.utils.env_checker import check_env

from doomrnn.env import DoomTakeCover, TakeCoverGame, buttons, observe
from doomrnn.games import TakeCoverGames

SURVIVED_STANDING_STILL = {0: 93, 1: 105, 2: 108}  # seed: steps, ViZDoom 1.3.2


# --- actions and observations -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "pressed"),
    [
        (-1.0, [True, False]),
        (-0.334, [True, False]),
        (-1 / 3, [False, False]),
        (-0.333, [False, False]),
        (0.0, [False, False]),
        (0.333, [False, False]),
        (1 / 3, [False, False]),
        (0.334, [False, True]),
        (np.float32(1), [False, True]),
        (1.0, [False, True]),
    ],
)
def test_thirds_of_the_range_are_left_stay_right(action, pressed):
    assert buttons(action) == pressed


@pytest.mark.parametrize("action", [float("nan"), float("inf"), -float("inf"), 1.5, -1.0001, 255])
def test_actions_that_are_none_are_refused(action, game):
    with pytest.raises(ValueError, match="finite"):
        buttons(action)
    game.reset(0)
    with pytest.raises(ValueError, match="finite"):
        game.step(action)


def test_left_and_right_move_the_player_that_way(game):
    """Moving left shows what was on the left: the frame shifts to the right."""
    for action, shift in ((-1.0, 1), (1.0, -1)):
        before = game.reset(3)[:40].astype(int)
        for _ in range(6):
            after = game.step(action)[0][:40].astype(int)
        errors = [np.abs(np.roll(before, move, 1)[:, 8:-8] - after[:, 8:-8]).mean() for move in range(-6, 7)]
        assert np.sign(np.argmin(errors) - 6) == shift


def test_the_upper_five_sixths_are_kept():
    screen = np.full((120, 160, 3), 10, np.uint8)
    screen[100:] = 250
    assert (observe(screen) == 10).all()
    screen[99] = 250  # of the last observed row, which covers 98.4375 to 100, this is 1/1.5625 = 64 %
    assert (observe(screen)[63] == round(0.36 * 10 + 0.64 * 250)).all()
    assert (observe(screen)[:63] == 10).all()


def test_columns_are_shared_by_area_and_channels_kept_apart():
    screen = np.zeros((120, 160, 3), np.uint8)
    screen[:, 2, 0] = 200  # half of it in each of the first two columns, 2.5 wide: 200 · 0.5 / 2.5
    observation = observe(screen)
    assert (observation[:, :2, 0] == 40).all()
    assert not observation[:, 2:].any()
    assert not observation[:, :, 1:].any()


@pytest.mark.parametrize(("width", "height", "tolerance"), [(160, 120, 0), (640, 480, 1)])
def test_the_observation_is_opencvs_area_average(width, height, tolerance):
    rng = np.random.default_rng(0)
    for _ in range(20):
        screen = rng.integers(0, 256, (height, width, 3), np.uint8)
        expected = cv2.resize(screen[: height * 5 // 6], (64, 64), interpolation=cv2.INTER_AREA)
        difference = observe(screen).astype(int) - expected
        assert np.abs(difference).max() <= tolerance
        assert np.count_nonzero(difference) < 0.004 * difference.size  # one mean in 250 ends in a half


def test_an_observation_is_the_screen_seen_through_observe(game):
    observation = game.reset(5)
    assert observation.shape == (64, 64, 3) and observation.dtype == np.uint8
    assert game.screen.shape == (120, 160, 3)
    assert game.screen[100:].any()  # the status bar is rendered, and cropped
    assert np.array_equal(observation, observe(game.screen))


# --- rules --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SURVIVED_STANDING_STILL)
def test_a_game_until_death(game, seed):
    game.reset(seed)
    lived, terminated = 0, False
    while not terminated:
        observation, reward, terminated, truncated = game.step(0.0)
        lived += 1
        assert reward == 1.0 == game._engine.get_last_reward()
        assert not truncated
        assert observation.any() != terminated  # zeros at death and never before
    assert lived == SURVIVED_STANDING_STILL[seed] == game._engine.get_total_reward()
    with pytest.raises(RuntimeError, match="reset"):
        game.step(0.0)


def test_a_player_that_never_dies_lives_exactly_2100_steps(game):
    game.reset(0)
    game._engine.send_game_command("iddqd")  # Doom's cheat: no harm done
    for _ in range(2099):
        assert game.step(0.0)[1:] == (1.0, False, False)
    observation, *rest = game.step(0.0)
    assert rest == [1.0, False, True]
    assert observation.any()
    with pytest.raises(RuntimeError, match="reset"):
        game.step(0.0)


def test_death_at_the_limit_is_death():
    game = TakeCoverGame(time_limit=SURVIVED_STANDING_STILL[0])
    game.reset(0)
    ends = [game.step(0.0)[2:] for _ in range(SURVIVED_STANDING_STILL[0])]
    game.close()
    assert ends[-1] == (True, False)
    assert set(ends[:-1]) == {(False, False)}


def test_stepping_needs_a_game():
    with pytest.raises(RuntimeError, match="reset"):
        TakeCoverGame().step(0.0)


@pytest.mark.parametrize(
    "setting",
    [
        {"skill": 0},
        {"skill": 6},
        {"skill": 4.5},
        {"time_limit": 0},
        {"start_time": -1},
        {"width": 161},
        {"height": True},
        {"observation_size": 0},
        {"observation_size": 128},
    ],
)
def test_bad_settings_are_refused(setting):
    with pytest.raises(ValueError) as refusal:
        TakeCoverGame(**setting)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "1", True])
def test_bad_seeds_are_refused(game, seed):
    with pytest.raises(ValueError, match="seed"):
        game.reset(seed)


# --- the same seed is the same episode ----------------------------------------------------------------------


def test_the_same_seed_gives_the_same_frames_whatever_was_played_before(game):
    alone = {}
    for seed in (7, 2**32 - 1):
        fresh = TakeCoverGame()
        alone[seed] = play(fresh, seed, 400)
        fresh.close()
    assert alone[7] != alone[2**32 - 1]
    play(game, 8, 33)
    for seed in (2**32 - 1, 7, 7):
        assert play(game, seed, 400) == alone[seed]
        play(game, 100 + seed % 7, 21)


def test_the_same_seed_gives_the_same_frames_in_another_process(game):
    script = (
        "import hashlib, sys; sys.path[:0] = sys.argv[1:]\n"
        "from doom_play import TakeCoverGame, play\n"
        "game = TakeCoverGame()\n"
        "print(hashlib.sha256(b''.join(play(game, 11, 150))).hexdigest())\n"
        "game.close()"
    )
    command = [sys.executable, "-c", script, str(ROOT), str(TESTS)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.strip() == hashlib.sha256(b"".join(play(game, 11, 150))).hexdigest()


# --- Gymnasium ----------------------------------------------------------------------------------------------


def test_gymnasiums_checker_passes():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make("WorldModels/DoomTakeCover-v0", render_mode="rgb_array")
        check_env(env.unwrapped)
        env.close()


def test_seeds_and_frames_of_the_environment(game):
    first, second = DoomTakeCover(render_mode="rgb_array"), DoomTakeCover()
    observation, info = first.reset(seed=3)
    assert info == {"seed": 3}
    assert np.array_equal(observation, game.reset(3))
    assert np.array_equal(first.render(), game.screen)
    assert second.render() is None
    second.reset(seed=3)
    (observation, info), (again, info_again) = first.reset(), second.reset()
    assert info == info_again != {"seed": 3}
    assert np.array_equal(observation, again)
    with pytest.raises(ValueError, match="must be 1 finite number in \\[-1, 1\\], not float 0.5"):
        first.step(0.5)
    observation, reward, terminated, truncated, info = first.step(np.array([1.0], np.float32))
    assert np.array_equal(observation, second.step(np.array([0.5], np.float32))[0])
    assert (reward, terminated, truncated, info) == (1.0, False, False, {})
    first.close()
    second.close()
    with pytest.raises(ValueError, match="render_mode"):
        DoomTakeCover(render_mode="human")


def test_importing_the_package_loads_no_engine():
    check = "import sys, doomrnn; assert not {'vizdoom', 'cv2', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)


# --- many at once -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_a_game_in_a_batch_plays_as_it_does_alone(game, threads):
    seeds = {0: [0, 30], 1: [1, 31], 2: [2, 32]}  # game: its seeds, each played 40 steps
    games = TakeCoverGames(3, threads=threads)
    frames = {seed: [] for pair in seeds.values() for seed in pair}
    now = {}
    for tick in range(100):
        for index in range(3):
            if tick in (3 * index, 3 * index + 45):
                now[index] = seeds[index][tick > 30]
                frames[now[index]].append(games.reset(index, now[index]).tobytes())
        awake = [index for index in (2, 0, 1) if index in now and len(frames[now[index]]) < 41]
        chosen = [actions(now[index], 40)[len(frames[now[index]]) - 1] for index in awake]
        steps = games.step(awake, chosen)
        assert steps.observations.shape == (len(awake), 64, 64, 3) and steps.observations.dtype == np.uint8
        assert (steps.rewards == 1).all() and not steps.terminated.any() and not steps.truncated.any()
        for index, observation in zip(awake, steps.observations, strict=True):
            frames[now[index]].append(observation.tobytes())
    games.close()
    for seed, seen in frames.items():
        assert seen == play(game, seed, 40)


def test_a_batch_reports_death_and_the_limit_where_they_happen():
    games = TakeCoverGames(2, time_limit=SURVIVED_STANDING_STILL[0])
    games.reset(0, 0)
    games.reset(1, 1)
    for _ in range(SURVIVED_STANDING_STILL[0]):
        steps = games.step([1, 0], [0.0, 0.0])
    games.close()
    assert steps.terminated.tolist() == [False, True]
    assert steps.truncated.tolist() == [True, False]


def test_bad_batches_are_refused_before_anything_moves(game):
    with pytest.raises(ValueError, match="at least 1"):
        TakeCoverGames(0)
    with pytest.raises(ValueError, match="at least 1"):
        TakeCoverGames(1, threads=0)
    games = TakeCoverGames(2)
    first = games.reset(0, 4).tobytes()
    for indices, chosen in (([0, 0], [0, 0]), ([0], [0, 0]), ([2], [0]), ([-1], [0]), ([0], [np.nan]), ([0], [1.5])):
        with pytest.raises(ValueError) as refusal:
            games.step(indices, chosen)
        assert "\n" not in str(refusal.value)
    with pytest.raises(ValueError, match="no environment 2"):
        games.reset(2, 0)
    after = games.step([0], [[actions(4, 1)[0]]]).observations[0].tobytes()  # a column of actions will do
    games.close()
    assert [first, after] == play(game, 4, 1)
