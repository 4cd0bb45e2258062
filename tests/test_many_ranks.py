"""Ranks that are many, slow, stopped or woken: who is silent, who plays what they held, and the same answer."""

import itertools
import json
import pickle
import re
import sys

import numpy as np
import pytest
from commands import TESTS, run
from farm_world import REAL, alone, ids, work, world

from experiment.random_streams import Purpose
from rollouts.farm import backoff
from rollouts.heartbeat import STEP_SECONDS, HeartbeatMonitor
from rollouts.messages import Reply, Request, pack_reply, pack_request, unpack_reply, unpack_request
from rollouts.rollout import Outcome, Rollout
from rollouts.work_queue import UNIT, WorkQueue

SILENT = 2.5  # long enough for a loaded machine's ranks to start


def ended(*numbers: int, live: int = 0) -> Request:
    """A rank reports outcomes, and how many rollouts it still has."""
    return Request([Outcome(n, 1.0, 1) for n in numbers], {REAL: live})


# --- who is silent -----------------------------------------------------------------------------------------


class Clock:
    """A clock that is set by hand, and looked at in steps as rank 0 does."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def go(self, watch: HeartbeatMonitor, seconds: float) -> list[int]:
        """Let time go by, with a look at least every half second; the ranks lost meanwhile."""
        lost, end = [], self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.5)
            lost += watch.look()
        return lost


@pytest.fixture
def clock() -> Clock:
    """At some time."""
    return Clock()


def test_a_rank_is_silent_when_its_time_is_up_and_not_before(clock):
    """Counted from the start, and from what it was last asked; said once."""
    watch = HeartbeatMonitor([1, 2], 60, clock)
    assert clock.go(watch, 30) == [] and watch.heard(1) is None
    watch.asked(1)
    assert clock.go(watch, 29.5) == [] and watch.silent == []
    assert clock.go(watch, 0.5) == [2] and watch.silent == [2]
    assert clock.go(watch, 29.5) == []
    assert clock.go(watch, 0.5) == [1] and watch.silent == [1, 2]
    assert clock.go(watch, 500) == []


def test_a_rank_that_waits_for_rank_0_owes_nothing(clock):
    """Until it is sent something."""
    watch = HeartbeatMonitor([1], 60, clock)
    watch.heard(1)
    assert clock.go(watch, 1000) == []
    watch.asked(1)
    assert clock.go(watch, 59.5) == [] and clock.go(watch, 0.5) == [1]


def test_a_rank_that_answers_again_is_no_longer_silent(clock):
    """It took as long as it took, and it may fall silent another time."""
    watch = HeartbeatMonitor([1], 60, clock)
    clock.go(watch, 75)
    assert watch.silent == [1] and watch.heard(1) == 75 and watch.silent == []
    assert watch.heard(1) is None
    watch.asked(1)
    assert clock.go(watch, 60) == [1]


def test_the_clock_stands_still_while_rank_0_does(clock):
    """A job suspended for a night does not find all its ranks silent in the morning."""
    watch = HeartbeatMonitor([1], 60, clock)
    clock.now += 50_000
    assert watch.look() == []
    assert clock.go(watch, 59.5 - STEP_SECONDS) == [] and clock.go(watch, 0.5) == [1]


def test_a_rank_is_called_by_its_host_and_pid_once_they_are_known(clock):
    """Before, by its number."""
    watch = HeartbeatMonitor([3], 60, clock)
    assert watch.name(3) == "rank 3"
    watch.introduce(3, "b", 4242)
    assert watch.name(3) == "rank 3 (pid 4242 on host b)"


# --- who plays what a silent rank held -----------------------------------------------------------------------


def silent_queue(repeats: bool = False) -> WorkQueue:
    """Rank 1 holds rollouts 0 to 3 of 5 and has ended 0; rank 2 holds 4; nothing waits."""
    queue = WorkQueue(3, lambda kind: 4)
    queue.post(work(5), repeats)
    assert ids(queue.exchange(1, ended())) == [0, 1, 2, 3]
    assert ids(queue.exchange(2, ended())) == [4]
    queue.exchange(1, ended(0, live=3))
    assert [o.id for o in queue.gather(0)] == [0]
    return queue


def test_what_a_silent_rank_holds_goes_to_others_and_no_earlier():
    """Also where nothing is played twice otherwise; what it has ended is not played again."""
    queue = silent_queue()
    assert ids(queue.exchange(0, ended())) == []
    version = queue.version
    assert queue.share(1) == 3 and queue.version > version
    assert ids(queue.exchange(0, ended())) == [1, 2, 3]
    assert ids(queue.exchange(2, ended(4))) == []


def test_late_outcomes_count_only_where_they_come_first():
    """The rank that woke is told to drop what others have ended, and they what it has."""
    queue = silent_queue()
    queue.share(1)
    queue.exchange(0, ended())
    queue.exchange(0, ended(1, live=2))
    woken = queue.exchange(1, ended(1, 2, live=1))
    assert woken.drop == [] and ids(woken) == []
    assert queue.exchange(0, ended(2, 3)).drop == []
    assert queue.exchange(1, ended(live=1)).drop == [3]
    assert sorted(o.id for o in queue.gather(0)) == [1, 2, 3]


def test_a_rank_that_wakes_before_anybody_took_its_rollouts_goes_on_with_them():
    """It is not given them a second time, and what it ends meanwhile is given to nobody."""
    queue = silent_queue()
    queue.share(1)
    assert ids(queue.exchange(1, ended(1, live=2))) == []
    queue.share(1)
    queue.exchange(1, ended(2, live=1))
    queue.share(1)
    assert ids(queue.exchange(2, ended(4))) == [3]
    queue.exchange(1, ended(3))
    assert queue.exchange(2, ended(live=1)).drop == [3]
    assert sorted(o.id for o in queue.gather(0)) == [1, 2, 3, 4]


def test_only_what_no_other_rank_plays_is_handed_out_again():
    """Where idle ranks repeat anyway, each rollout of a silent rank goes to one of them."""
    queue = silent_queue(repeats=True)
    assert ids(queue.exchange(0, ended())) == [1, 2, 3, 4]
    queue.share(1)
    assert ids(queue.exchange(0, ended(1, live=3))) == []
    queue.post(work(1), repeats=True)
    assert ids(queue.exchange(2, ended(live=1))) == [0]


def test_idle_ranks_share_the_repeats():
    """What the fewest play comes first: two idle ranks do not begin with the same."""
    queue = WorkQueue(3, lambda kind: 64)
    queue.post(work(UNIT * 2), repeats=True)
    given = ids(queue.exchange(1, ended())) + ids(queue.exchange(1, ended(live=UNIT)))
    assert given == list(range(UNIT * 2))
    assert ids(queue.exchange(0, ended())) == given[:UNIT]
    assert ids(queue.exchange(2, ended())) == given[UNIT:]


# --- how it is said ------------------------------------------------------------------------------------------


def test_messages_arrive_as_they_were_sent():
    """Weights bit for bit, scripts, outcomes and the episodes in them."""
    weights = np.random.default_rng(0).normal(size=(2, 1088)).astype(np.float32)
    sent = [Rollout(n, "dream", Purpose.COLLECT.stream(0, attempt=n), weights[n // 16]) for n in range(32)] + work(1)
    there = unpack_reply(pickle.loads(pickle.dumps(pack_reply(Reply(sent, [3, 4], True)))))
    assert [r[:3] for r in there.rollouts] == [r[:3] for r in sent] and there[1:] == ([3, 4], True)
    assert all((a.policy == b.policy).all() for a, b in zip(there.rollouts[:32], sent, strict=False))
    assert there.rollouts[0].policy.dtype == np.float32 and there.rollouts[32].policy == sent[32].policy
    assert [r.kind for r in there.rollouts] == [r.kind for r in sent]
    request = Request([Outcome(7, 0.1, 9), Outcome(8, -1.5, 4, b"episode")], {REAL: 3})
    assert unpack_request(pickle.loads(pickle.dumps(pack_request(request)))) == request


def test_a_policy_is_sent_once_however_many_rollouts_share_it():
    """16 rollouts of a candidate take the space of its weights and a little."""
    weights = np.ones((1, 1088), np.float32)
    rollouts = [Rollout(n, "dream", Purpose.COLLECT.stream(0, attempt=n), weights[0]) for n in range(16)]
    sizes = [len(pickle.dumps(pack_reply(Reply(rollouts[:count], [])))) for count in (1, 16)]
    assert sizes[0] > weights.nbytes and sizes[1] < sizes[0] + 1000


def test_naps_grow_to_their_limit():
    """Short where an answer is near, long where a rank has nothing to do."""
    found = list(itertools.islice(backoff((0.001, 0.005)), 30))
    assert found[0] == 0.001 and found[-1] == 0.005 and found == sorted(found)


# --- under mpirun --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def expected() -> list[tuple[int, str, int]]:
    """What one process without MPI plays."""
    return alone()


def played(ranks: int, *words: object) -> tuple[dict, str]:
    """What rank 0 of so many printed, its outcomes as they were before JSON, and what all said."""
    done = world(ranks, *words, seconds=240)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    return result | {"outcomes": [tuple(row) for row in result["outcomes"]]}, done.stderr


def test_the_tiny_world_needs_no_tensorflow():
    """32 ranks of it would not fit into memory."""
    code = "import sys, farm_world, rollouts.farm; print({'tensorflow', 'keras', 'scipy'} & set(sys.modules))"
    done = run([sys.executable, "-c", code], PYTHONPATH=f"{TESTS}:{TESTS.parent}")
    assert done.stdout.strip() == "set()", done.stderr


def test_32_ranks_give_the_answer_of_one(expected):
    """Sixteen a core on the smallest machine, and more ranks than units: no deadlock, bit-identical outcomes."""
    result, said = played(32, "play")
    assert result["outcomes"] == expected
    assert all(f"rank {rank} is pid" in said for rank in range(32)) and "not answered" not in said


def test_a_rank_ten_times_slower_costs_little(expected):
    """Stopped nine tenths of the time by SIGSTOP and SIGCONT. Its cost: scripts/reliability/ranks.py."""
    result, said = played(4, "slowed", 3)
    assert result["outcomes"] == expected and "not answered" not in said
    assert max(result["seconds"]) < 20


@pytest.mark.parametrize(
    ("words", "who"),
    [
        (("stopped", 2, "--once"), r"rank 2 \(pid \d+ on host \S+\)"),
        (("late", 3), r"rank 3 \(pid \d+ on host \S+\)"),
        (("early", 1), "rank 1"),
    ],
)
def test_a_rank_stopped_for_good_is_named_and_not_waited_for(words, who, expected):
    """While it plays, when all is done, or before it has said a word: the whole answer, and exit code 0."""
    result, said = played(4, *words, "--silent", SILENT)
    assert result["outcomes"] == expected
    fate = "its rollouts are played by others" if "--once" in words else "it has no work"
    assert len(re.findall(f"{who} has not answered for 2.5 s; {fate}\n", said)) == 1, said
    assert len(re.findall(f"all work is done and saved; {who} did not exit", said)) == 1, said


@pytest.mark.parametrize("words", [(), ("--once",)])
def test_a_rank_that_wakes_again_does_no_harm(words, expected):
    """Its late outcomes are not counted twice, it takes part again, and the job ends as any other."""
    result, said = played(4, "woken", 2, "--silent", SILENT, *words)
    assert result["outcomes"] == expected
    for what in ("has not answered for 2.5 s", "answers again, after"):
        assert len(re.findall(rf"rank 2 \(pid \d+ on host \S+\) {what}", said)) == 1, said
    assert "MPI_Abort" not in said and "MPI_ABORT" not in said
