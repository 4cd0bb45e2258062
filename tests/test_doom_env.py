"""The real take cover: its observations, its rules, and an engine that may die at any moment."""

import ctypes
import hashlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import cv2
import gymnasium
import numpy as np
import pytest
import vizdoom
from gymnasium.utils.env_checker import check_env

import doomrnn.env
from doomrnn.env import DoomTakeCover, TakeCoverGame, buttons, observe
from doomrnn.games import TakeCoverGames

ROOT = Path(doomrnn.__file__).parents[1]
SURVIVED_STANDING_STILL = {0: 93, 1: 105, 2: 108}  # seed: steps, ViZDoom 1.3.2


@pytest.fixture(scope="module")
def game():
    """An engine that the tests share: what one has played must not matter to the next."""
    game = TakeCoverGame()
    yield game
    game.close()


def actions(seed: int, steps: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, -(-steps // 8)).repeat(8)[:steps]


def play(game: TakeCoverGame, seed: int, steps: int) -> list[bytes]:
    """The frames of up to `steps` steps of game `seed`, the first one included."""
    frames = [game.reset(seed).tobytes()]
    for action in actions(seed, steps):
        observation, _, terminated, truncated = game.step(float(action))
        frames.append(observation.tobytes())
        if terminated or truncated:
            break
    return frames


def engines(ancestor: int) -> set[int]:
    """Engine processes started by this process."""
    parents, commands = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status, commands[int(folder.name)] = (folder / "stat").read_text(), (folder / "comm").read_text()
        except OSError:  # it ended meanwhile
            continue
        parents[int(folder.name)] = int(status.rpartition(") ")[2].split()[1])
    family = {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return {pid for pid in family if commands.get(pid) == "vizdoom\n"}


def wait_until(condition, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def state(pid: int) -> str:
    """The kernel's letter for what a process is doing, Z when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[0]
    except OSError:
        return "Z"


def alive(pid: int) -> bool:
    return state(pid) != "Z"


def kill_engine(before: set[int] = frozenset()) -> None:
    """Kills the engines of this process that are not in `before`, and waits until they are gone."""
    victims = engines(os.getpid()) - before
    assert victims
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    assert wait_until(lambda: not any(map(alive, victims)))


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
        "from test_doom_env import TakeCoverGame, play\n"
        "game = TakeCoverGame()\n"
        "print(hashlib.sha256(b''.join(play(game, 11, 150))).hexdigest())\n"
        "game.close()"
    )
    command = [sys.executable, "-c", script, str(ROOT), str(Path(__file__).parent)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert output.strip() == hashlib.sha256(b"".join(play(game, 11, 150))).hexdigest()


# --- an engine that dies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0, 1, 60])
def test_a_killed_engine_is_not_noticed(game, caplog, step):
    expected = play(game, 21, 120)
    before = engines(os.getpid())
    other = TakeCoverGame()
    frames = [other.reset(21).tobytes()]
    for index, action in enumerate(actions(21, len(expected) - 1)):
        if index == step:
            kill_engine(before)
        frames.append(other.step(float(action))[0].tobytes())
    other.close()
    assert frames == expected
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert f"{step + 1} steps of seed 21" in caplog.text
    assert engines(os.getpid()) == before


def test_an_engine_killed_between_games_is_not_noticed(game):
    before = engines(os.getpid())
    other = TakeCoverGame()
    play(other, 1, 5)
    kill_engine(before)
    assert play(other, 2, 50) == play(game, 2, 50)
    other.close()


def queues(engine: int) -> dict[str, int]:
    """The addresses of an engine's two message queues, Ctr (in which we wait) and Doom, by name."""
    found = re.findall(r"^(\w+)-.*ViZDoomMQ(Ctr|Doom)", Path(f"/proc/{engine}/maps").read_text(), re.MULTILINE)
    return {name: int(address, 16) for address, name in found}


def holds_a_lock(engine: int) -> bool:
    """Whether the engine, stopped, holds the lock of one of its two message queues."""
    with open(f"/proc/{engine}/mem", "rb") as memory:
        for address in queues(engine).values():
            memory.seek(address + 56)
            if int.from_bytes(memory.read(4), "little") == engine:
                return True
    return False


def stop(engine: int, holding: bool) -> None:
    """Stop an engine that plays while it holds a lock, or while it holds none."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        os.kill(engine, signal.SIGSTOP)
        assert wait_until(lambda: state(engine) == "T")
        if holds_a_lock(engine) == holding:
            return
        os.kill(engine, signal.SIGCONT)
        time.sleep(0.001)
    pytest.fail("the engine was never caught so")


def about_to_wake_us(engine: int) -> None:
    """Leave our queue as an engine does that has signalled us and not yet woken us."""
    time.sleep(0.2)  # by now we wait
    with open(f"/proc/{engine}/mem", "r+b", buffering=0) as memory:
        memory.seek(queues(engine)["Ctr"] + 88)
        condition = ctypes.create_string_buffer(memory.read(48), 48)
        ctypes.CDLL(None).pthread_cond_signal(condition)  # whoever it wakes, it is not us: we sleep at the queue
        memory.seek(queues(engine)["Ctr"] + 88)
        memory.write(condition.raw)


def lock_not_yet_signed(engine: int) -> None:
    """Leave our queue as an engine does that has taken its lock and not yet written that it is the owner."""
    with open(f"/proc/{engine}/mem", "r+b", buffering=0) as memory:
        memory.seek(queues(engine)["Ctr"] + 48)
        memory.write((1).to_bytes(4, "little"))


@pytest.mark.skipif(sys.platform != "linux", reason="engines have a keeper on Linux only")
@pytest.mark.parametrize("left", [None, about_to_wake_us, lock_not_yet_signed])
def test_an_engine_killed_at_a_message_queue_is_not_noticed(game, left):
    """With a lock in its hands; or leaving us asleep, or a lock that nobody seems to hold."""
    expected = play(game, 5, 2000)
    before = engines(os.getpid())
    other = TakeCoverGame()
    other.reset(0)
    (engine,) = engines(os.getpid()) - before
    killed = threading.Event()
    right = []

    def play_on() -> None:
        while not killed.is_set():
            right.append(play(other, 5, 2000) == expected)
        right.append(play(other, 5, 2000) == expected)

    player = threading.Thread(target=play_on, daemon=True)
    player.start()
    stop(engine, holding=left is None)
    if left:
        left(engine)
    os.kill(engine, signal.SIGKILL)
    killed.set()
    player.join(30)
    assert not player.is_alive()
    assert right and all(right)
    other.close()


@pytest.mark.skipif(sys.platform != "linux", reason="engines have a keeper on Linux only")
@pytest.mark.parametrize("kills", [1, 2])
def test_an_engine_killed_while_it_starts_is_not_noticed(game, caplog, monkeypatch, tmp_path, kills):
    """The first engines are killed before they are ready, by their own first act: no clock decides it."""
    victims, engine = tmp_path / "victims", tmp_path / "engine"
    count = f"$(cat {shlex.quote(str(victims))} 2>/dev/null | wc -l)"
    engine.write_text(
        f"""#!/bin/sh
if [ {count} -lt {kills} ]; then
  echo $$ >> {shlex.quote(str(victims))}
  kill -KILL $$
fi
exec {shlex.quote(vizdoom.exe_path)} "$@"
"""
    )
    engine.chmod(0o755)
    monkeypatch.setattr(vizdoom, "exe_path", str(engine))
    other = TakeCoverGame()
    frames = play(other, 9, 30)
    killed = [int(line) for line in victims.read_text().split()]
    assert len(killed) == kills and not any(map(alive, killed))
    assert frames == play(game, 9, 30)
    assert not caplog.records
    other.close()


def test_an_engine_that_cannot_start_is_given_up(monkeypatch, caplog):
    def fail(engine):
        raise vizdoom.ViZDoomErrorException("no engine today")

    monkeypatch.setattr(doomrnn.env, "start", fail)
    with pytest.raises(RuntimeError, match="3 times in a row.*no engine today") as failure:
        TakeCoverGame().reset(0)
    assert "\n" not in str(failure.value)
    assert len(caplog.records) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="the engine is tied to its parent on Linux only")
@pytest.mark.parametrize(("number", "output"), [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGKILL, "")])
def test_nothing_is_left_of_a_process_that_is_killed(number, output, tmp_path):
    script = (
        "import signal, sys; sys.path.insert(0, sys.argv[1])\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs ignore it
        "from doomrnn.env import TakeCoverGame\n"
        "game, seed = TakeCoverGame(), 0\n"
        "try:\n"
        "    while True:\n"
        "        game.reset(seed); print(game._engine.get_instance_id(), flush=True); seed += 1\n"
        "        while not game.step(0.0)[2]: pass\n"
        "except KeyboardInterrupt: print('KeyboardInterrupt')"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", script, str(ROOT)]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        instance = process.stdout.readline().strip()
        victims = engines(process.pid)
        os.killpg(process.pid, number)  # as a terminal's Ctrl-C does
        remainder = process.stdout.read()
    assert len(victims) == 1
    assert remainder.removeprefix(instance).strip().endswith(output)
    assert wait_until(lambda: not any(map(alive, victims)))
    assert not list(tmp_path.iterdir())
    assert not list(Path("/dev/shm").glob(f"*{instance}"))


def test_nothing_is_left_of_games_that_are_closed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = engines(os.getpid())
    for seed in range(4):
        game = TakeCoverGame()
        game.reset(seed)
        instance = game._engine.get_instance_id()
        assert len(engines(os.getpid()) - before) == 1
        game.close()
        game.close()
        assert not list(Path("/dev/shm").glob(f"*{instance}"))
    assert engines(os.getpid()) == before
    assert not list(tmp_path.iterdir())
    assert len(play(game, 0, 5)) == 6  # a closed game can be begun again
    game.close()


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
