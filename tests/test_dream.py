"""The dream: a rollout is the same whatever is dreamt beside it, ends where M says so, and never by chance."""

import os
import sys

import numpy as np
import pytest
from commands import TESTS
from commands import run as run_command
from dreams import H, Z, make_dream, make_model, play, scripted

from controller.policies import Policy
from controller.policy_spec import PolicyShape
from doomrnn.scripted import TakeCoverScript
from experiment.errors import InputError, NumericalError
from experiment.random_streams import Purpose
from rnn.dream import Dream
from rnn.mdn import sample, split_head
from rnn.model import MDNRNN
from rnn.series import InitialLatents
from rollouts.dream_player import DreamPlayer
from rollouts.rollout import BLOCK, Outcome, Rollout
from rollouts.tiles import Tiles

WEIGHTS = np.random.default_rng(5).normal(0, 0.05, (8, Z + 2 * H)).astype(np.float32).round(4)


@pytest.fixture(scope="module")
def dream() -> Dream:
    """A dream of Doom's size."""
    return make_dream(make_model())


def policy(model: MDNRNN) -> Policy:
    """Doom's controller."""
    return Policy(PolicyShape("zch", model.z_size, model.hidden_size, 1, bias=False))


def rollouts(count: int) -> list[Rollout]:
    """Dreams of eight controllers in rotation, each on a stream of its own."""
    return [
        Rollout(n, "dream", Purpose.FITNESS.stream(0, generation=1, candidate=n, rollout=0), WEIGHTS[n % 8])
        for n in range(count)
    ]


# --- a rollout is its own ------------------------------------------------------------------------------------


@pytest.mark.rows
def test_rollouts_do_not_depend_on_one_another(dream):
    """Alone, among others, in batches of any size and any order: the same outcomes, bit-identical in every z."""
    work = rollouts(40)
    learned = policy(dream.model)
    expected = play(DreamPlayer(dream, learned, 40, 150), work)
    assert set(expected) == set(range(40))
    lengths = [outcome.length for outcome in expected.values()]
    assert len(set(lengths)) > 15 and min(lengths) < BLOCK and max(lengths) == 150
    assert play(DreamPlayer(dream, learned, 7, 150), work) == expected
    assert play(DreamPlayer(dream, learned, 17, 150), work[::-1]) == expected
    shuffled = [work[i] for i in np.random.default_rng(1).permutation(40)]
    assert play(DreamPlayer(dream, learned, 33, 150), shuffled) == expected
    longest = max(expected, key=lambda number: expected[number].length)
    assert play(DreamPlayer(dream, learned, 16, 150), [work[longest]]) == {longest: expected[longest]}


@pytest.mark.rows
def test_states_do_not_depend_on_the_batch(dream):
    """Equal outcomes are not luck of whole numbers: z, c and h of one rollout are equal bit for bit."""
    work, learned = rollouts(310), policy(dream.model)
    states = []
    for batch in (work[3:4], work[:6], work[:40], work[:64], work[:70], work[69::-1], work):
        player = DreamPlayer(dream, learned, 512, 2100)
        player.add(batch)
        lived = []
        for _ in range(3):
            player.advance()
            ids = [rollout.id for rollout in player._rollouts]
            if 3 in ids:
                row = ids.index(3)
                lived.append(np.concatenate([part[row] for part in player._state]))
        states.append(np.array(lived))
    assert states[0].shape == (3, Z + 2 * H + 1)
    assert all(np.array_equal(states[0], other) for other in states[1:])


@pytest.mark.rows
@pytest.mark.parametrize(("z_size", "done_head"), [(64, True), (32, False)])
def test_a_draw_depends_on_its_row_alone(z_size, done_head):
    """z and the end, bit for bit, at every size of tile; and what is drawn is what `rnn.mdn.sample` says."""
    rng, count = np.random.default_rng(0), 64
    raw = rng.normal(0, 1, (count, 15 * z_size + done_head)).astype(np.float32)
    uniforms, normals = rng.random((count, z_size), np.float32), rng.standard_normal((count, z_size), np.float32)
    noise = uniforms, normals, rng.random(count, np.float32)
    drawer = Dream(MDNRNN(z_size, 1, 16, 5, done_head), InitialLatents(*np.zeros((2, 1, z_size), np.float32)), 1.15)
    whole = [np.asarray(part) for part in drawer._draw(split_head(raw, z_size, 5), *noise)]
    for size in (1, 8, 16, 32, 48):
        part = drawer._draw(split_head(raw[-size:], z_size, 5), *(array[-size:] for array in noise))
        assert all(np.array_equal(ours, all_of[-size:]) for ours, all_of in zip(part, whole, strict=True))
    params = split_head(raw, z_size, 5)
    np.testing.assert_allclose(whole[0], sample(params, 1.15, uniforms, normals), atol=1e-4)
    assert np.array_equal(whole[1], raw[:, -1] > 0 if done_head else np.zeros(count, bool))


@pytest.mark.skipif("ONEDNN_MAX_CPU_ISA" in os.environ, reason="the processor is restricted already")
def test_the_same_without_avx512():
    """Older processors sum in an order that depends on a product's size; the same tests pass with their kernels."""
    files = [str(TESTS / name) for name in ("test_dream.py", "test_agent.py", "test_rnn_model.py", "test_vae_model.py")]
    words = ["-q", "-p", "no:cacheprovider", "-m", "rows", "-k", "not bfloat16"]
    older = {"ONEDNN_MAX_CPU_ISA": "AVX2", "XLA_FLAGS": "--xla_cpu_max_isa=AVX2"}
    done = run_command([sys.executable, "-m", "pytest", *words, *files], seconds=400, **older)
    assert done.returncode == 0, done.stdout


def test_dropped_dreams_disturb_nobody(dream):
    """What others have finished is forgotten in the middle, and the rest goes on as it would have."""
    work, learned = rollouts(24), policy(dream.model)
    expected = play(DreamPlayer(dream, learned, 24, 150), work)
    player = DreamPlayer(dream, learned, 24, 150)
    player.add(work)
    early = {outcome.id for outcome in player.advance()}
    dropped = set(range(0, 24, 2)) - early
    player.drop(dropped | {999})
    assert player.live() == 24 - len(early | dropped)
    assert play(player, []) == {n: o for n, o in expected.items() if n not in early | dropped}


def test_another_seed_controller_or_temperature_is_another_dream(dream):
    """All that should matter does."""
    work, learned = rollouts(32), policy(dream.model)
    expected = play(DreamPlayer(dream, learned, 32, 150), work)
    other_seed = [rollout._replace(stream=rollout.stream._replace(seed=1)) for rollout in work]
    other_weights = [rollout._replace(policy=-rollout.policy) for rollout in work]
    for changed in (other_seed, other_weights):
        assert play(DreamPlayer(dream, learned, 32, 150), changed) != expected
    cooler = Dream(dream.model, dream.initial, 0.3)
    assert play(DreamPlayer(cooler, learned, 32, 150), work) != expected


# --- how it ends --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 15, 16, 17, 60, 2100])
def test_the_time_limit_is_exact(limit):
    """A dream that never ends lives exactly so many steps, though blocks are of sixteen."""
    player = DreamPlayer(make_dream(make_model(2, 4, done_bias=-9.0)), None, 16, limit)
    outcomes = play(player, scripted(5, TakeCoverScript("random")))
    assert set(outcomes.values()) == {Outcome(n, float(limit), limit) for n in range(5)}


def test_death_is_the_last_steps_reward():
    """A dream that ends at once is one step long and returns 1; the limit on the same step changes nothing."""
    for limit in (1, 60):
        player = DreamPlayer(make_dream(make_model(2, 4, done_bias=9.0)), None, 16, limit)
        assert set(play(player, scripted(3, TakeCoverScript("stay"))).values()) == {
            Outcome(n, 1.0, 1) for n in range(3)
        }


def test_returns_are_sums_of_expected_rewards():
    """With a reward head a return is what M expects at each step, up to the limit wherever in a block that falls."""
    model = MDNRNN(2, 1, 4, 5, seed=1, reward_head=True)
    kernel, bias = np.array(model.head.kernel), np.array(model.head.bias)
    kernel[:, -1], bias[-1] = 0.0, 0.25
    model.head.kernel.assign(kernel)
    model.head.bias.assign(bias)
    for limit in (1, 16, 37):
        outcomes = play(DreamPlayer(make_dream(model), None, 16, limit), scripted(3, TakeCoverScript("random")))
        assert set(outcomes.values()) == {Outcome(n, limit / 4, limit) for n in range(3)}


@pytest.mark.parametrize(("bias", "length"), [(-1e-3, 60), (0.0, 60), (1e-3, 1)])
def test_the_end_is_never_sampled(bias, length):
    """A probability a little below one half, or just one half, never ends a dream; a little above always does."""
    player = DreamPlayer(make_dream(make_model(2, 4, done_bias=bias)), None, 64, 60)
    assert {o.length for o in play(player, scripted(50, TakeCoverScript("random"))).values()} == {length}


def test_a_sampled_end_is_as_likely_as_deaths_are():
    """A logit learned with deaths ten times as often as they are stands for odds of a tenth."""
    dream = make_dream(make_model(2, 4, done_bias=np.log(10 * 0.02 / 0.98)))
    sampled = Dream(dream.model, dream.initial, dream.temperature, death_weight=10.0)
    work = scripted(2000, TakeCoverScript("stay"))
    found = play(DreamPlayer(sampled, None, 512, 60), work)
    lengths = np.array([found[n].length for n in range(len(work))])
    deaths, steps = (lengths < 60).sum(), lengths.sum()
    assert abs(deaths / steps - 0.02) < 4 * np.sqrt(0.02 / steps)
    assert {o.length for o in play(DreamPlayer(dream, None, 512, 60), work).values()} == {60}
    alone = play(DreamPlayer(sampled, None, 3, 60), work[:40])  # whatever is dreamt beside it
    assert alone == {n: found[n] for n in range(40)}


def test_step_by_step_by_hand(dream):
    """A plain loop over M's step, the mixture's sample and the controller gives the same lengths."""
    model, weights, limit = dream.model, WEIGHTS, 60
    found = play(DreamPlayer(dream, policy(model), 16, limit), rollouts(16))
    for number, rollout in enumerate(rollouts(5)):
        rng = rollout.rng()
        z, c, h = dream.initial.draw(rng)[None], np.zeros((1, H), np.float32), np.zeros((1, H), np.float32)
        length, done = 0, False
        while not done and length < limit:
            if length % BLOCK == 0:
                uniforms, normals = rng.random((BLOCK, Z), np.float32), rng.standard_normal((BLOCK, Z), np.float32)
            action = np.tanh(np.concatenate([z, c, h], axis=1) @ weights[number][:, None])
            restart = np.full((1, 1), float(length == 0), np.float32)
            params, h, c = (p for p in model.step(z, action, restart, h, c))
            place = slice(length % BLOCK, length % BLOCK + 1)
            z = np.asarray(sample(params, 1.15, uniforms[place], normals[place]))
            h, c = np.asarray(h), np.asarray(c)
            length, done = length + 1, float(params.done_logit[0]) > 0
        assert found[number] == Outcome(number, float(length), length)


def test_a_dream_starts_from_any_stored_first_frame():
    """Uniformly, and with the spread of its posterior."""
    rng, mu = np.random.default_rng(0), np.arange(20, dtype=np.float32).reshape(5, 4)
    sure = InitialLatents(mu, np.full((5, 4), -300, np.float32))
    rows = [int(sure.draw(rng)[0]) // 4 for _ in range(500)]
    assert np.bincount(rows, minlength=5).min() > 60  # of 100 each
    assert sure.draw(rng).tolist() in mu.tolist()
    wide = InitialLatents(np.full((1, 64), 7, np.float32), np.full((1, 64), np.log(9), np.float32))
    drawn = np.stack([wide.draw(rng) for _ in range(50)])
    assert drawn.mean() == pytest.approx(7, abs=0.2) and drawn.std() == pytest.approx(3, rel=0.05)


def test_scripts_play_their_actions(dream):
    """The scripted action of each step reaches M, across blocks and refills."""
    model = make_model(2, 4, done_bias=-9.0)
    seen = []
    step = model.step
    model.step = lambda z, action, *rest: seen.append(np.asarray(action)) or step(z, action, *rest)
    player = DreamPlayer(make_dream(model), None, 16, 40)
    player._tiles = Tiles(player._block.python_function, 16)  # not compiled, so that actions can be looked at
    play(player, scripted(1, TakeCoverScript("sweep", period=5)))
    actions = np.array(seen)[:40, 0, 0]
    assert actions.tolist() == ([1.0] * 5 + [-1.0] * 5) * 4


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_temperatures_that_cannot_be(dream, temperature):
    """Only a number above 0 is one."""
    with pytest.raises(InputError, match="must be a number above 0"):
        Dream(dream.model, dream.initial, temperature)


@pytest.mark.parametrize("limit", [10, 16, 60])
def test_weights_that_are_no_numbers(limit):
    """The rollout is named; a dream of NaN does not pass for one survived, however short."""
    model = make_model(2, 4, done_bias=-9.0)
    model.lstm.bias.assign(np.full(16, np.nan, np.float32))
    with pytest.raises(NumericalError, match=r"rollout \(EVALUATE, episode 0, seed 0\)"):
        play(DreamPlayer(make_dream(model), None, 16, limit), scripted(3, TakeCoverScript("stay")))


@pytest.mark.parametrize("logit", [np.nan, np.inf, -np.inf])
def test_a_done_logit_that_is_no_number(logit):
    """It is neither an end nor a step survived."""
    model = make_model(2, 4, done_bias=-9.0)
    bias = model.head.bias.numpy()
    bias[-1] = logit
    model.head.bias.assign(bias)
    with pytest.raises(NumericalError, match="the done logit is NaN or infinite"):
        play(DreamPlayer(make_dream(model), None, 16, 60), scripted(3, TakeCoverScript("stay")))
