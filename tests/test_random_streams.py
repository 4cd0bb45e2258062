"""Random streams: no two places share numbers, and the numbers are those that published results were made with."""

import itertools
import pickle

import numpy as np
import pytest

from experiment.random_streams import Purpose, Stream

# the keys of the results released so far, as they were written before streams had names: (seed 7, words, counters)
KEYS = {
    "COLLECT": (7, 1, 11),
    "VAE_WEIGHTS": (7, 2),
    "VAE_EPISODE_ORDER": (7, 2, 1, 11),
    "VAE_FRAME_CHOICE": (7, 2, 2, 11, 12),
    "VAE_FRAME_ORDER": (7, 2, 3, 11, 12),
    "VAE_HELD_OUT_FRAMES": (7, 2, 4, 11),
    "VAE_NOISE": (7, 2, 5, 11),
    "VAE_VALIDATION_NOISE": (7, 2, 6),
    "RNN_WEIGHTS": (7, 3),
    "RNN_EPISODE_ORDER": (7, 3, 1, 11),
    "RNN_LATENTS": (7, 3, 2, 11, 12),
    "FITNESS": (7, 4, 11, 12, 13),
    "MEAN": (7, 5, 11),
    "BOOTSTRAP": (7, 6, 0),
    "EVALUATE": (7, 6, 1, 11),
    "LOADED_AGENT": (7, 6, 2),
    "REPORT_AGENT": (7, 6, 3),
    "REPORT_SCRIPT": (7, 6, 4, 11),
    "CMA_ES": (7, 7),
    "SPLIT": (7, 8),
    "VALIDATE": (7, 9, 11),
}


def counted(purpose: Purpose, *values: int) -> Stream:
    """A purpose's stream of seed 7 with these counters, in order."""
    return purpose.stream(7, **dict(zip(purpose.counters, values, strict=False)))


def may_collide(one: tuple[tuple[int, ...], int], other: tuple[tuple[int, ...], int]) -> bool:
    """Whether some counters give two purposes, each (words, number of counters), the same key of one seed.

    A counter can be any number. NumPy fills a key of less than four words up with zeros, so [s, 2] and [s, 2, 0]
    are one stream; longer keys are held to the same rule.
    """
    rows = [[*words, *[None] * count] for words, count in (one, other)]
    return all(a is None or b is None or a == b for a, b in itertools.zip_longest(*rows, fillvalue=0))


def test_no_two_purposes_collide():
    """Whatever the counters, the keys of two purposes differ: at some place both have fixed words, and other ones."""
    specs = [(purpose.words, len(purpose.counters)) for purpose in Purpose]
    assert len(specs) == len(KEYS) == 21
    assert not [pair for pair in itertools.combinations(specs, 2) if may_collide(*pair)]


@pytest.mark.parametrize(
    "pair",
    [
        (((2,), 1), ((2, 1), 1)),  # a counter of 1 is the other's second word
        (((2,), 0), ((2, 0), 0)),  # zeros behind a short key change nothing
        (((4,), 3), ((4, 1), 2)),
        (((5,), 1), ((5,), 1)),
    ],
)
def test_a_collision_would_be_found(pair):
    """The rule above can fail; and NumPy does give the same numbers for keys that end in zeros."""
    assert may_collide(*pair)
    assert np.random.SeedSequence([7, 2]).generate_state(2).tolist() == (
        np.random.SeedSequence([7, 2, 0]).generate_state(2).tolist()
    )


def test_streams_of_small_counters_all_differ():
    """In fact, too: the first number of every stream with counters of 0 to 9."""
    firsts = {}
    for purpose in Purpose:
        for values in itertools.product(range(10), repeat=len(purpose.counters)):
            state = np.random.SeedSequence(counted(purpose, *values).words).generate_state(2, np.uint64)
            assert firsts.setdefault(tuple(state.tolist()), (purpose, values)) == (purpose, values)
    assert len(firsts) == sum(10 ** len(purpose.counters) for purpose in Purpose)


@pytest.mark.parametrize("name", KEYS)
def test_the_numbers_are_those_of_published_results(name):
    """The generator, the engine's seed and the initial weights' seed of the key that was written out before."""
    stream, key = counted(Purpose[name], 11, 12, 13), KEYS[name]
    assert stream.words == key
    expected = np.random.Generator(np.random.Philox(np.random.SeedSequence(list(key))))
    assert stream.generator().random(5).tolist() == expected.random(5).tolist()
    word = int(np.random.SeedSequence(list(key)).generate_state(1, np.uint32)[0])
    assert stream.initial_weights_seed() == word and stream.engine_seed() == word >> 1


def test_a_number_by_itself():
    """A regression of NumPy's own would be seen: Philox of [7, 6, 1, 11]."""
    assert Purpose.EVALUATE.stream(7, episode=11).engine_seed() == 2103975391
    assert Purpose.EVALUATE.stream(7, episode=11).generator().integers(1 << 30) == 576451050


@pytest.mark.parametrize(
    "counters", [{}, {"generation": 1, "candidate": 2}, {"generation": 1, "candidate": 2, "rollout": -1}, {"x": 1}]
)
def test_counters_are_named(counters):
    """One that is missing, unknown or negative is refused; so is a negative seed."""
    with pytest.raises(ValueError, match="FITNESS"):
        Purpose.FITNESS.stream(0, **counters)
    with pytest.raises(ValueError, match="SPLIT"):
        Purpose.SPLIT.stream(-1)


def test_a_stream_is_named_in_messages_and_survives_its_way_to_a_rank():
    """It says what it is of, by name; pickled, it is the same."""
    stream = Purpose.FITNESS.stream(3, generation=np.int64(7), candidate=2, rollout=5)
    assert str(stream) == "(FITNESS, generation 7, candidate 2, rollout 5, seed 3)"
    assert pickle.loads(pickle.dumps(stream)) == stream and type(stream.counters[0]) is int
