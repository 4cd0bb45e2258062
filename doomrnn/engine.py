"""ViZDoom's engine: a process of its own, set up for take cover, and what keeps it from outliving or killing us."""

import contextlib
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

import vizdoom

from doomrnn.shared_memory import SHARED_MEMORY
from experiment.errors import InputError

NOEXEC = "and here nothing can be written; allow them (docker run --tmpfs /tmp:exec), or name another in TMPDIR"
DEATHS = (  # how ViZDoom reports an engine process that crashed, was killed or no longer answers
    vizdoom.ViZDoomErrorException,
    vizdoom.ViZDoomUnexpectedExitException,
    vizdoom.ViZDoomIsNotRunningException,
    vizdoom.MessageQueueException,
    vizdoom.SharedMemoryException,
)
# The engine's keeper, a program of its own. It lets the engine die with us but not by our Ctrl-C, and make
# its `_vizdoom` folder in one that we remove. And it shields us from two faults of ViZDoom 1.3 with an engine
# that is killed. If it was not ready yet, we would get a segmentation fault: it is started again. If it held
# a message queue's lock (one in twelve, measured), or was about to wake us, we would wait for ever: the lock is opened
# in its stead, and whoever sleeps at a queue is woken to look again.
_KEEPER = """
import ctypes, mmap, os, sys, time

parent, folder, engine, *arguments = sys.argv[1:]
instance = arguments[arguments.index("+viz_instance_id") + 1]
libc, keeper = ctypes.CDLL(None), os.getpid()
LOCK, OWNER, END = 48, 56, 184  # bytes into a queue: its pthread mutex, in it the thread that holds it; two conditions
FUTEX, WAKE = {"x86_64": 202, "aarch64": 98}.get(os.uname().machine), 1

def die_with(pid):
    libc.prctl(1, 9)  # PR_SET_PDEATHSIG, SIGKILL
    os.getppid() == pid or os._exit(1)

def queue(name):
    with open(f"/dev/shm/ViZDoom{name}{instance}", "r+b") as file:
        return ctypes.c_char.from_buffer(mmap.mmap(file.fileno(), 0))

def word(address):
    return ctypes.c_int.from_address(address).value

def abandoned(queue, engine):
    for _ in range(20):  # the moment between taking a lock and signing it passes, unless its owner died in it
        if not word(queue + LOCK) or word(queue + OWNER):
            return word(queue + OWNER) == engine
        time.sleep(0.001)
    return True

os.setsid()
die_with(int(parent))
queues = queue("MQDoom"), queue("MQCtr")
for _ in range(3):
    child = os.fork()
    if child == 0:
        die_with(keeper)
        os.chdir(folder)
        os.execv(engine, [engine, *arguments])
    _, status = os.waitpid(child, 0)
    for address in map(ctypes.addressof, queues):
        if abandoned(address, child):
            libc.pthread_mutex_unlock(ctypes.c_void_p(address + LOCK))
        for place in range(address + LOCK, address + END, 4) if FUTEX else ():
            libc.syscall(FUTEX, ctypes.c_void_p(place), WAKE, 2**31 - 1, None, None, 0)
    if os.path.exists("/dev/shm/ViZDoomSM" + instance) or not os.path.exists(folder):
        sys.exit()  # it was ready: the end is its owner's business
sys.exit(f"ViZDoom's engine died 3 times while starting (status {status}): {engine}")
"""


def configure(skill: int, start_time: int, resolution: vizdoom.ScreenResolution) -> vizdoom.DoomGame:
    """Return an engine set up for take cover, not yet started."""
    game = vizdoom.DoomGame()
    game.set_doom_game_path(os.path.join(vizdoom.install_path, "freedoom2.wad"))
    game.set_doom_scenario_path(os.path.join(vizdoom.scenarios_path, "take_cover.wad"))
    game.set_doom_map("map01")
    game.set_doom_skill(int(skill))
    game.set_available_buttons([vizdoom.Button.MOVE_LEFT, vizdoom.Button.MOVE_RIGHT])
    game.set_living_reward(1)
    game.set_death_penalty(0)
    game.set_episode_start_time(int(start_time))
    game.set_episode_timeout(0)  # we count: at its own limit the engine would not show the last frame
    game.set_screen_resolution(resolution)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    game.set_render_hud(True)
    game.set_render_screen_flashes(True)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    game.set_console_enabled(False)
    game.set_mode(vizdoom.Mode.PLAYER)
    game.set_doom_config_path(os.devnull)  # else the engine writes `_vizdoom.ini` where we are
    return game


def start(game: vizdoom.DoomGame) -> None:
    """Start the engine process so that it leaves nothing behind, even if we are killed."""
    folder = tempfile.mkdtemp(prefix="doomrnn-")
    try:
        game.set_vizdoom_path(_keeper(folder) or _bare_engine(folder))
        game.init()
    finally:
        _remove(folder)
    # Both ends have these files open; without their names the memory is freed with the processes. The folder
    # goes first: the keeper looks for either.
    for name in Path(SHARED_MEMORY).glob(f"ViZDoom*{game.get_instance_id()}"):
        name.unlink(missing_ok=True)


def _remove(folder: str) -> None:
    """Remove an engine's folder without opening it: there may be no file descriptor left to do that with."""
    with contextlib.suppress(OSError):
        os.unlink(f"{folder}/engine.sh")
    for path in (f"{folder}/_vizdoom", folder):
        with contextlib.suppress(OSError):
            os.rmdir(path)
    shutil.rmtree(folder, ignore_errors=True)


def _bare_engine(folder: str) -> str:
    """Return the engine's path; InputError where it cannot make its folder: it would crash, and so would we."""
    try:
        os.makedirs("_vizdoom", exist_ok=True)
    except OSError:
        raise InputError(f"{os.path.dirname(folder)}: programs in it may not be run (noexec), {NOEXEC}") from None
    return vizdoom.exe_path


def _keeper(folder: str) -> str | None:
    """Write the script that runs `_KEEPER`; return its path, or None where that cannot be.

    Without a keeper an engine leaves an empty folder `_vizdoom` behind, and may outlive us if we are killed.
    """
    if not (sys.platform == "linux" and sys.executable):
        return None
    path = Path(folder, "engine.sh")
    words = [sys.executable, "-ISc", _KEEPER, str(os.getpid()), folder, vizdoom.exe_path]
    path.write_bytes(os.fsencode(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'))  # as paths are, in any locale
    path.chmod(0o700)
    return str(path) if os.access(path, os.X_OK) else None  # a noexec file system says no
