"""Rollouts spread over ranks: each once, alike whoever played them, and an end for all when one fails."""

import json

import pytest
from farm_world import DAWDLE_SECONDS, REAL, ROLLOUTS, SETUP, TASK, alone, answer, ids, rollouts, work, world

from controller.workers import TaskPlayers
from rollouts.farm import Farm
from rollouts.messages import Request
from rollouts.rollout import Outcome
from rollouts.work_queue import UNIT, WorkQueue

DREAM = ("dream", True)


def play(farm: Farm, count: int = ROLLOUTS) -> list[tuple[int, str, int]]:
    """What a farm answers to the rollouts."""
    return answer(farm.play(rollouts(count)))


@pytest.fixture(scope="module")
def expected() -> list[tuple[int, str, int]]:
    """What one process without MPI plays."""
    return alone()


# --- what rank 0 hands out ----------------------------------------------------------------------------------


def test_each_rollout_is_handed_out_once_and_within_the_room_there_is():
    """A rank gets no more than fits beside what it has alive, and what comes back is gathered once."""
    queue = WorkQueue(2, lambda kind: 10)
    queue.post(work(40), repeats=False)
    first = queue.exchange(1, Request([], {}))
    assert ids(first) == list(range(10)) and not first.drop and not first.stop
    assert ids(queue.exchange(1, Request([], {REAL: 10}))) == []
    assert ids(queue.exchange(1, Request([Outcome(0, 1.0, 1), Outcome(1, 1.0, 1)], {REAL: 8}))) == [10, 11]
    assert ids(queue.exchange(0, Request([], {}))) == list(range(12, 20))
    assert [o.id for o in queue.gather(0)] == [0, 1] and queue.gather(0) == []


def test_portions_shrink_so_that_ranks_end_together():
    """Half of what waits shared among the ranks, at least a unit."""
    queue = WorkQueue(4, lambda kind: 10_000)
    queue.post(work(800), repeats=False)
    sizes = [len(queue.exchange(1, Request([], {})).rollouts) for _ in range(60)]
    assert sizes[0] == 100 and sizes[1] == 88
    given = [size for size in sizes if size]
    assert sum(given) == 800 and sorted(given, reverse=True) == given and min(given[:-1]) == UNIT


def test_each_kind_has_room_of_its_own():
    """What waits is handed out in its order, kinds mixed, until there is no room for the next one."""
    queue = WorkQueue(1, lambda kind: {REAL: 3, DREAM: 50}[kind])
    queue.post(work(4) + work(6, "dream", first=4), repeats=False)
    assert ids(queue.exchange(0, Request([], {}))) == [0, 1, 2]
    assert ids(queue.exchange(0, Request([], {REAL: 3}))) == []
    assert ids(queue.exchange(0, Request([Outcome(0, 1, 1)], {REAL: 2}))) == [3, 4, 5, 6, 7, 8, 9]
    queue = WorkQueue(1, lambda kind: 3)
    queue.post([work(1, "dream" if n % 2 else "real", first=n)[0] for n in range(20)], repeats=False)
    assert ids(queue.exchange(0, Request([], {}))) == [
        0,
        1,
        2,
        3,
        4,
        5,
    ]  # as an iteration's, whose agent explores in half


def test_the_idle_repeat_what_is_outstanding_and_the_first_outcome_counts():
    """The slow rank's answer, when it comes, is not counted again, and it is told to drop the rest."""
    queue = WorkQueue(3, lambda kind: 10)
    queue.post(work(4), repeats=True)
    assert ids(queue.exchange(1, Request([], {}))) == [0, 1, 2, 3]
    assert ids(queue.exchange(2, Request([], {REAL: 1}))) == []  # busy, so not asked to repeat
    assert ids(queue.exchange(2, Request([], {}))) == [0, 1, 2, 3]
    assert ids(queue.exchange(2, Request([], {}))) == []  # nothing twice to one rank
    quick = [Outcome(n, 5.0, 5) for n in (0, 1, 2)]
    queue.exchange(2, Request(quick, {REAL: 1}))
    slow = queue.exchange(1, Request([Outcome(0, 5.0, 5)], {REAL: 3}))
    assert sorted(slow.drop) == [1, 2]
    assert [o.id for o in queue.gather(0)] == [0, 1, 2]
    assert queue.exchange(1, Request([Outcome(3, 5.0, 5)], {})).drop == []
    assert [o.id for o in queue.gather(0)] == [3]


def test_nothing_is_repeated_where_that_is_not_wanted():
    """Collecting writes files: each game is played by one rank alone."""
    queue = WorkQueue(2, lambda kind: 10)
    queue.post(work(4), repeats=False)
    queue.exchange(1, Request([], {}))
    assert ids(queue.exchange(0, Request([], {}))) == []


def test_what_is_cleared_is_dropped():
    """After a stop in the middle, ranks drop what they have alive, and its outcomes count for nothing."""
    queue = WorkQueue(2, lambda kind: 10)
    queue.post(work(12), repeats=True)
    queue.exchange(1, Request([], {}))
    queue.clear()
    late = queue.exchange(1, Request([Outcome(0, 1.0, 1)], {REAL: 7}))
    assert sorted(late.drop) == list(range(1, 8)) and ids(late) == [] and queue.gather(0) == []


# --- one process --------------------------------------------------------------------------------------------


def test_every_rollout_ends_once(expected):
    """Ids are the caller's, whatever else was played before."""
    farm = Farm(TaskPlayers(TASK, SETUP))
    assert [number for number, *_ in expected] == list(range(ROLLOUTS))
    assert play(farm, 7) == expected[:7]
    assert play(farm) == expected
    assert play(farm, 0) == []
    assert len({score for _, score, _ in expected}) > 80 and len({length for *_, length in expected}) > 40


def test_play_may_be_left_in_the_middle(expected):
    """What was under way is forgotten, and the next rollouts are not disturbed by it."""
    farm = Farm(TaskPlayers(TASK, SETUP))
    for outcome in farm.play(rollouts()):
        if outcome.length > 50:
            break
    assert play(farm) == expected


# --- under mpirun -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 3, 5])
def test_outcomes_do_not_depend_on_the_ranks(ranks, expected):
    """Bit-identical on any number of ranks, twice in a row."""
    done = world(ranks, "play")
    assert done.returncode == 0, done.stderr
    assert [tuple(row) for row in json.loads(done.stdout)["outcomes"]] == expected


@pytest.mark.parametrize("rank", [0, 2])
def test_an_exception_on_any_rank_ends_them_all(rank):
    """None waits for the others for ever (`world` gives them a minute); that rank's traceback, and exit code 1."""
    done = world(3, "RuntimeError", rank)
    assert done.returncode == 1
    assert done.stderr.count("Traceback") == 1 and f"RuntimeError: this is rank {rank}" in done.stderr
    assert 'farm_world.py", line' in done.stderr


@pytest.mark.parametrize(("error", "rank", "code"), [("InputError", 0, 2), ("NumericalError", 2, 1)])
def test_a_foreseen_error_is_one_line(error, rank, code):
    """Without a traceback, from any rank, with its own exit code (mpirun adds its own notice)."""
    done = world(3, error, rank)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stderr.count(f": this is rank {rank}\n") == 1


def test_a_slow_ranks_work_is_done_by_others(expected):
    """Its games would take a minute; the others play them again and the end does not wait for it."""
    done = world(3, "dawdle", 1)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert [tuple(row) for row in result["outcomes"]] == expected
    longest = max(length for *_, length in expected)
    assert sum(result["seconds"]) < longest * DAWDLE_SECONDS / 2
