"""Ctrl-C and SIGTERM: none is lost, whoever swallows the exception."""

import contextlib
import os
import signal
import sys
from types import SimpleNamespace

import pytest
from commands import SCRIPTS, start
from launch import Launcher
from running.exits import exit_code

from experiment.interrupts import deferred_interrupts, interrupted_at_once, stop_if_requested

SAVING = """
import time
from experiment.interrupts import deferred_interrupts, interrupted_at_once
with interrupted_at_once(), deferred_interrupts() as interrupt:
    print("here", flush=True)
    while not interrupt.requested:
        time.sleep(0.01)
    time.sleep(1)  # to the safe point
    print("saved", flush=True)
"""
SIDE_BY_SIDE = """
import sys
sys.path.insert(0, sys.argv[1])
import cli
from running.procedure import Lane, finish_all
with cli.ending_well():
    finish_all([Lane(f"seed {n}", [sys.executable, "-c", sys.argv[2]]) for n in range(2)])
"""
SWALLOWING = """
import signal, sys, time
sys.path.insert(0, sys.argv[1])
import cli
with cli.ending_well():
    print("begun", flush=True)
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        pass  # as a library may
    from experiment.interrupts import stop_if_requested
    stop_if_requested()
    print("went on")
"""


@pytest.fixture
def handlers():
    """Leave the handlers of this process as they were."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_swallowed_one_stops_before_the_next_stage(number):
    """With the exit code and the line of any other."""
    process = start([sys.executable, "-c", SWALLOWING, str(SCRIPTS)])
    assert process.stdout.readline() == "begun\n"
    process.send_signal(number)
    said, errors = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "") and errors.startswith("interrupted; ")


@pytest.mark.parametrize("everyone", [True, False])
def test_seeds_side_by_side_save_first(everyone):
    """A Ctrl-C on a terminal reaches them too, and a second signal would end them at once; one to the command alone is
    handed on. It ends when they have.
    """
    process = start([sys.executable, "-c", SIDE_BY_SIDE, str(SCRIPTS), SAVING])
    assert {process.stdout.readline() for _ in range(2)} == {"seed 0: here\n", "seed 1: here\n"}
    (os.killpg if everyone else os.kill)(process.pid, signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert sorted(said.splitlines()) == ["seed 0: saved", "seed 1: saved"], errors
    assert process.returncode == 130 and errors.startswith("interrupted; ")


def test_one_that_a_loop_did_not_see_stops_the_next(handlers):
    """It came after a loop's last look: that loop ends, and no other one begins until the command has stopped."""
    with interrupted_at_once():  # as a command does
        with deferred_interrupts() as interrupt:
            os.kill(os.getpid(), signal.SIGTERM)
            assert interrupt.requested
        with pytest.raises(KeyboardInterrupt), deferred_interrupts():
            pytest.fail("the loop began")
        with pytest.raises(KeyboardInterrupt):
            stop_if_requested()
    stop_if_requested()


def test_one_that_a_stage_lost_stops_the_command_around_it(handlers):
    """A stage that runs inside its command takes nothing with it at its end."""
    with interrupted_at_once():
        with interrupted_at_once(), contextlib.suppress(KeyboardInterrupt):  # as a library may
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("the stage went on")
        with pytest.raises(KeyboardInterrupt):
            stop_if_requested()
    stop_if_requested()


def test_a_command_leaves_no_handlers_behind(handlers, inside):
    """Run inside a notebook or a test, it changes nothing about what comes after it, whichever way it ends."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert inside("report.py", "--run", "nothing-is-here").returncode == 2
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    with pytest.raises(KeyboardInterrupt), interrupted_at_once():
        assert signal.getsignal(signal.SIGTERM) != before[1]
        os.kill(os.getpid(), signal.SIGTERM)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_outside_a_command_nothing_is_kept(handlers):
    """A notebook that stopped one training may begin the next."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with deferred_interrupts() as interrupt:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.requested
    with deferred_interrupts() as interrupt:
        assert not interrupt.requested


def test_a_second_one_interrupts_a_loop_at_once(handlers):
    """For a user who does not want to wait for the safe point."""
    with pytest.raises(KeyboardInterrupt), deferred_interrupts():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        pytest.fail("the loop went on")


def test_what_the_shell_ignores_stays_ignored(handlers):
    """Of a command in the background of a script, say, a Ctrl-C on the terminal is none of its business."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupted_at_once():
        os.kill(os.getpid(), signal.SIGINT)
        stop_if_requested()


@pytest.mark.parametrize(
    ("number", "hint"), [(signal.SIGKILL, "SIGKILL (out of memory?); "), (signal.SIGSEGV, "SIGSEGV; ")]
)
def test_a_stage_that_a_signal_kills_is_named(number, hint, tmp_path, capfd):
    """`reproduce.py` ends with code 1 and a line, and not with one that `subprocess` made of the signal."""
    (tmp_path / "train_vae.py").write_text(f"import os; os.kill(os.getpid(), {int(number)})")
    launcher = Launcher(SimpleNamespace(path=tmp_path), SimpleNamespace(engine=False, name="doomrnn"), 1)
    with pytest.raises(SystemExit) as ended:
        launcher._call([sys.executable, str(tmp_path / "train_vae.py")], {})
    assert ended.value.code == 1 and f"failed: train_vae.py was killed by {hint}" in capfd.readouterr().err


def test_exit_codes_of_processes(capfd):
    """Those of a signal, as `subprocess` has it or mpirun of a rank, are 1 and a line; the others are handed on."""
    assert [exit_code("C", code) for code in (0, 1, 2, 130, 143)] == [0, 1, 2, 130, 143] and not capfd.readouterr().err
    for code, name in ((137, "SIGKILL"), (139, "SIGSEGV"), (-9, "SIGKILL"), (-15, "SIGTERM"), (-40, "signal 40")):
        assert exit_code("C", code) == 1 and f"failed: C was killed by {name}" in capfd.readouterr().err
