"""An engine of take cover that may die at any moment: nobody notices, and nothing of it is left."""

import ctypes
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import vizdoom
from commands import ROOT
from doom_play import actions, play

import doomrnn.env
from doomrnn.env import TakeCoverGame


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
