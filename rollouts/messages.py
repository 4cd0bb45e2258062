"""What rank 0 and the other ranks tell each other, and how it is packed."""

from typing import Any, NamedTuple

import numpy as np

from experiment.random_streams import Stream
from rollouts.rollout import Kind, Outcome, Rollout
from rollouts.scripted import Script


class Request(NamedTuple):
    """What a rank tells rank 0: what ended, and how many rollouts of each kind it has alive."""

    outcomes: list[Outcome]
    live: dict[Kind, int]


class Reply(NamedTuple):
    """What rank 0 answers: rollouts to start, ids to drop before that, and whether the work is over."""

    rollouts: list[Rollout]
    drop: list[int]
    stop: bool = False


def pack_request(request: Request) -> Any:
    """Return a request as plain tuples, which are pickled faster than named ones."""
    return [tuple(outcome) for outcome in request.outcomes], request.live


def unpack_request(packed: Any) -> Request:
    """Return the request again."""
    return Request([Outcome(*outcome) for outcome in packed[0]], packed[1])


def pack_reply(reply: Reply) -> Any:
    """Return a reply as plain tuples, with each policy once: the rollouts of a candidate share theirs."""
    policies: dict[Any, int] = {}
    rows = [
        (r.id, r.world, tuple(r.stream), policies.setdefault(_plain(r.policy), len(policies))) for r in reply.rollouts
    ]
    return list(policies), rows, reply.drop, reply.stop


def unpack_reply(packed: Any) -> Reply:
    """Return the reply again."""
    policies = [np.frombuffer(p[1], p[0]) if isinstance(p, tuple) else p for p in packed[0]]
    rollouts = [Rollout(number, world, Stream(*stream), policies[n]) for number, world, stream, n in packed[1]]
    return Reply(rollouts, *packed[2:])


def _plain(policy: np.ndarray | Script) -> Any:
    """Return something hashable and quickly pickled."""
    return (policy.dtype.str, policy.tobytes()) if isinstance(policy, np.ndarray) else policy
