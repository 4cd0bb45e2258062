"""CMA-ES: it climbs, it is its seed's alone, and a replay of what it was told brings it back bit for bit."""

import math

import numpy as np
import pytest

from controller.cma_es import CMAES, fingerprint
from controller.config import ControllerConfig
from controller.policy_spec import rounded
from controller.training import fitness_streams, scheduled_rollouts
from experiment.errors import InputError
from experiment.random_streams import Purpose

TARGET = np.linspace(-1, 1, 12)


def fitness(candidates: np.ndarray) -> np.ndarray:
    """Highest at the target."""
    return 100 - ((candidates - TARGET) ** 2).sum(1)


def evolve(es: CMAES, generations: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """What was asked and told."""
    told = []
    for _ in range(generations):
        candidates = es.ask()
        told.append((candidates, fitness(candidates)))
        es.tell(*told[-1])
    return told


def test_it_climbs():
    """The fitness is maximised: the sign flips once, and the mean goes to the highest point."""
    es = CMAES(12, 16, 0.5, seed=0)
    assert np.array_equal(es.mean, np.zeros(12)) and es.rms_sigma == pytest.approx(0.5, rel=1e-3)
    told = evolve(es, 60)
    means = [scores.mean() for _, scores in told]
    assert means[-1] > 99.9 > means[0]
    assert np.allclose(es.mean, TARGET, atol=0.05)
    assert es.rms_sigma < 0.1


def test_shapes_and_first_spread():
    """Candidates are float64 [popsize, size], spread by sigma_init around 0."""
    candidates = CMAES(1088, 64, 0.1, seed=3).ask()
    assert candidates.shape == (64, 1088) and candidates.dtype == np.float64
    assert abs(candidates.std() - 0.1) < 0.001 and abs(candidates.mean()) < 0.002


def test_the_step_size_falls_as_the_authors():
    """The first step sizes of 867 weights are those of the authors' log (the path length rule, begun at zero)."""
    es, rng = CMAES(867, 64, 0.1, seed=3), np.random.default_rng(3)
    found = []
    for _ in range(10):
        es.tell(es.ask(), rng.standard_normal(64))  # what is random is what a first generation's returns are
        found.append(es.rms_sigma)
    published = [0.0983, 0.09681, 0.09547, 0.09425, 0.09311, 0.09209, 0.09115, 0.09027, 0.08944, 0.08867]
    assert found == pytest.approx(published, rel=0.005)  # carracing.hist.json


def test_a_replay_is_bit_exact():
    """The same asks and tells in a new object lead to bit-identical candidates."""
    es = CMAES(200, 16, 0.1, seed=5)
    target = np.linspace(-1, 1, 200)
    rows = []
    for _ in range(8):
        candidates = es.ask()
        rows.append((fingerprint(candidates), (-((candidates - target) ** 2).sum(1)).tolist()))
        es.tell(candidates, np.array(rows[-1][1]))
    again = CMAES(200, 16, 0.1, seed=5)
    for known, scores in rows:
        candidates = again.ask()
        assert fingerprint(candidates) == known
        again.tell(candidates, np.array(scores))
    assert np.array_equal(es.mean, again.mean) and np.array_equal(es.ask(), again.ask())


def test_numpys_global_generator_is_neither_read_nor_written():
    """Whatever else draws from it, the candidates are the seed's; and nothing is taken from it."""
    np.random.seed(1)
    expected = [candidates for candidates, _ in evolve(CMAES(12, 8, 0.3, seed=2), 5)]
    np.random.seed(99)
    before = np.random.get_state()[1].copy()
    es, found = CMAES(12, 8, 0.3, seed=2), []
    for _ in range(5):
        found.append(es.ask())
        es.tell(found[-1], fitness(found[-1]))
    assert np.array_equal(np.random.get_state()[1], before)
    assert all(np.array_equal(a, b) for a, b in zip(expected, found, strict=True))
    assert not np.array_equal(CMAES(12, 8, 0.3, seed=3).ask(), expected[0])


def test_candidates_are_known_by_their_hash():
    """The smallest change is another hash."""
    candidates = CMAES(12, 8, 0.3, seed=2).ask()
    changed = candidates.copy()
    changed[3, 4] = np.nextafter(changed[3, 4], 9)
    assert fingerprint(candidates) == fingerprint(candidates.copy()) != fingerprint(changed)


def test_weights_are_rounded_to_four_decimals():
    """Rollouts use float32 of 4 decimals; CMA-ES is told the unrounded ones."""
    weights = rounded(np.array([0.12345678, -0.00004, 1.00005001]))
    assert weights.dtype == np.float32
    assert weights.tolist() == np.array([0.1235, -0.0, 1.0001], np.float32).tolist()


def test_candidates_share_seeds_in_pairs():
    """i and i + 32 play the same 16 dreams; no other two do, and no generation shares with another."""
    config = ControllerConfig()
    streams = fitness_streams(config, 0, 7)
    assert len(streams) == 64 and {len(row) for row in streams} == {16}
    assert streams[3][5] == Purpose.FITNESS.stream(0, generation=7, candidate=3, rollout=5)
    for i in range(32):
        assert streams[i] == streams[i + 32]
    assert len({stream for row in streams for stream in row}) == 32 * 16
    assert not {stream for row in streams for stream in row} & {
        stream for row in fitness_streams(config, 0, 8) for stream in row
    }


def test_rollouts_double_as_the_fitness_rises():
    """2, 4, 8 and 16 rollouts at even steps of the fitness; all of them at once where nothing is scheduled."""
    config = ControllerConfig(rollouts=16, first_rollouts=2, full_rollouts_at=750.0)
    fitness = (-math.inf, -30.0, 249.0, 250.0, 499.0, 500.0, 749.0, 750.0, 900.0)
    assert [scheduled_rollouts(config, best) for best in fitness] == [2, 2, 2, 4, 4, 8, 8, 16, 16]
    assert scheduled_rollouts(ControllerConfig(rollouts=16), -math.inf) == 16
    assert len(fitness_streams(config, 0, 1, 2)[0]) == 2
    assert fitness_streams(config, 0, 1, 2)[3] == fitness_streams(config, 0, 1)[3][:2]
    with pytest.raises(InputError, match="full_rollouts_at"):
        ControllerConfig(first_rollouts=2)
