"""The project's own implementations among games: CarRacing, Doom, collecting and encoding them."""

import itertools
import os
import resource
import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import cli
import numpy as np
from benchmarking.dreams import on_farm, played
from benchmarking.workers import CORES, Job, Measure

from carracing.scripted import CarRacingScript
from controller.workers import PackedModel, Setup, TaskPlayers
from doomrnn.config import TakeCoverCollectConfig
from doomrnn.scripted import TakeCoverScript
from experiment.random_streams import Purpose
from rnn.config import SeriesConfig
from rollouts.collecting import collect
from rollouts.farm import Farm
from rollouts.rollout import Rollout
from rollouts.scripted import Script
from vae.episodes import episode_length, list_episodes, read_episode

BROWNIAN = CarRacingScript("brownian")
MODELS = {"carracing": (32, 3, 256), "doomrnn": (64, 1, 512)}  # Z, A, H


def carracing_environment(job: Job) -> Measure:
    """Episodes of the brownian policy on one core, resets included; scaling over the environments of a batch."""
    from carracing.games import CarRacingGames

    def measure(number: int) -> dict[str, float]:
        count, limit = (number, job.pick(100, 10)) if job.variant == "scaling" else (1, job.pick(1000, 50))
        games, steps, start = CarRacingGames(count), 0, time.perf_counter()
        for seed in itertools.count(number):
            steps += play_out(games, seed, limit)
            if job.variant == "scaling" or time.perf_counter() - start > job.seconds:
                break
        seconds = time.perf_counter() - start
        games.close()
        return {"rate": steps / seconds, "seconds": seconds}

    measure(1)
    return measure


def play_out(games: Any, seed: int, limit: int, script: Script = BROWNIAN) -> int:
    """Play a script in all environments to their episodes' ends, or to the limit; return the steps."""
    count, steps = len(games), 0
    actions = np.stack([script.actions(np.random.default_rng(seed + i), limit) for i in range(count)])
    for index in range(count):
        games.reset(index, seed + index)
    live = np.arange(count)
    for step in range(limit):
        if not len(live):
            break
        outcome = games.step(live.tolist(), actions[live, step])
        steps += len(live)
        live = live[~(outcome.terminated | outcome.truncated)]
    return steps


def carracing_memory(job: Job) -> Measure:
    """Return how much the highest resident memory grows from the 1,000th track to the 10,000th."""
    from carracing.env import CarRacingGame

    def measure(number: int) -> dict[str, float]:
        game, sizes = CarRacingGame(), {}
        first, last = job.pick(1000, 10), job.pick(10_000, 20)
        for track in range(1, last + 1):
            game.reset(track)
            for _ in range(10):
                game.step((0.1, 0.5, 0.0))
            sizes[track] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        return {"megabytes": sizes[last] - sizes[first]}

    return measure


def models(name: str, precision: str) -> tuple[Any, Any]:
    """V and M of a task, untrained."""
    from rnn.model import MDNRNN
    from vae.model import VAE

    sizes = MODELS[name]
    return VAE(sizes[0], precision=precision), MDNRNN(*sizes, done_head=name == "doomrnn", precision=precision)


def stages(name: str, how: str) -> Any:
    """Return the settings of a task's preset `quick`, or with "640" those of `paper`, whose window is larger."""
    return cli.task(name).presets["paper" if how == "640" else "quick"].stages


def agent_setup(name: str, how: str) -> Any:
    """Return what the ranks play the real task with."""
    task, (z_size, _, hidden) = cli.task(name), MODELS[name]
    vae, rnn = models(name, precision(how))
    settings = stages(name, how)
    return Setup(
        settings.env,
        settings.evaluate.games_per_rank,
        vae=PackedModel.of(vae),
        rnn=PackedModel.of(rnn),
        policy=task.policy_shape(task.variant, z_size, hidden, 40),
    )


def precision(how: str) -> str:
    """Of the networks; float32 but for "bfloat16"."""
    return how if how == "bfloat16" else "float32"


def agent(job: Job) -> Measure | None:
    """Return the whole agent in the real task, V, M, C and all, on every rank.

    The variant is the task's name and float32, bfloat16, "640" (see `stages`), or "scaling", over the number
    of rollouts, which then are short.
    """
    name, how = job.variant.split(" ")
    setup = agent_setup(name, how)
    if how == "scaling" or job.smoke:
        setup = replace(setup, env=replace(setup.env, time_limit=job.pick(40, 5)))
    rounds = {"doomrnn 640": 1, "carracing": 1}  # the others' episodes are of uneven lengths
    full = setup.games_per_rank * len(CORES) * rounds.get(job.variant, rounds.get(name, 4))

    def play(farm: Any, number: int) -> dict[str, float]:
        count = number if how == "scaling" else full
        weights = np.random.default_rng(number).normal(0, 0.1, (count, setup.policy.size)).astype(np.float32)
        streams = [Purpose.FITNESS.stream(0, generation=number, candidate=i, rollout=0) for i in range(count)]
        return played(farm, [Rollout(i, "real", stream, weights[i]) for i, stream in enumerate(streams)])

    return on_farm(TaskPlayers(cli.task(name), setup), play)


def parts(job: Job) -> Measure:
    """Return what an agent's parts allow: environments without an agent, then V, C and M without them, on every core.

    The variant as in `agent`. A rank's environments are played in turn, as with an agent: an engine that comes back to
    a core finds its data gone from the caches.
    """
    from controller.agent import Agent
    from controller.policies import Policy

    name, how = job.variant.split(" ")
    task, (z_size, _, hidden) = cli.task(name), MODELS[name]
    vae, rnn = models(name, precision(how))
    shape = task.policy_shape(task.variant, z_size, hidden, 40)
    step, rng = Agent(vae, rnn, Policy(shape, task.squash)).step, np.random.default_rng(0)
    settings = stages(name, how)
    rows = settings.evaluate.games_per_rank
    games = task.games(rows, settings.env, False)
    script = BROWNIAN if name == "carracing" else TakeCoverScript("random")
    frames = rng.integers(0, 256, (rows, 64, 64, 3), np.uint8)
    widths = z_size, shape.size, hidden, hidden, 1
    states = [rng.normal(0, 0.1, (rows, width)).astype(np.float32) for width in widths]

    def think() -> None:
        for part in step(frames, *states):
            part.numpy()

    def measure(number: int) -> dict[str, float]:
        start = time.perf_counter()
        environment = play_out(games, number, job.pick(1000, 20), script) / (time.perf_counter() - start)
        networks = job.rates(think, rows)["rate"]
        allowed = 1 / (1 / environment + 1 / networks)
        return {"rate": allowed, "environment rate": environment, "networks rate": networks}

    think()
    play_out(games, 0, 1, script)  # starts the engines
    return measure


def doom_engine(job: Job) -> Measure:
    """ViZDoom alone on every core, at the size the task uses: actions, screens, and nothing done with them."""
    from doomrnn.env import TakeCoverGame, buttons

    game, rng = TakeCoverGame(), np.random.default_rng(0)
    seeds = itertools.count(os.getpid())

    def play() -> None:
        game.reset(next(seeds) % 10_000)
        engine = game._engine  # bare, past the observation
        while not engine.is_episode_finished():
            engine.make_action(buttons(rng.uniform(-1, 1)))
            state = engine.get_state()
            counted[0] += 0 if state is None else len(state.screen_buffer) > 0

    counted = [0]
    play()

    def measure(number: int) -> dict[str, float]:
        counted[0], start = 0, time.perf_counter()
        while time.perf_counter() - start < job.seconds:
            play()
        return {"rate": counted[0] / (time.perf_counter() - start)}

    return measure


def collecting(job: Job) -> Measure | None:
    """Return the collecting stage as `reproduce.py` runs it, engines on the same cores; the rate is of one core.

    "differing" counts the frames of an episode that, read back, differ from those of the same game played again.
    """
    config = TakeCoverCollectConfig(episodes=job.pick(120, 4))

    def play(farm: Any, seed: int) -> dict[str, float]:
        with tempfile.TemporaryDirectory(dir=job.folder) as folder:
            found = collected(Path(folder), farm, config, seed)
            return found | {"rate": found["rate"] / len(CORES), "differing": differing(Path(folder), seed)}

    return on_farm(collectors(), play)


def collecting_alone(job: Job) -> Measure:
    """Return the collecting stage on one rank; scaling over the episodes."""

    def measure(number: int) -> dict[str, float]:
        with tempfile.TemporaryDirectory(dir=job.folder) as folder:
            return collected(Path(folder), Farm(collectors()), TakeCoverCollectConfig(episodes=number), 0)

    measure(2)
    return measure


def collectors() -> Any:
    """Return the cast of collecting Doom's games."""
    quick = stages("doomrnn", "")
    setup = Setup(quick.env, quick.collect.games_per_rank, quick.collect.minimum_length)
    return TaskPlayers(cli.task("doomrnn"), setup)


def collected(folder: Path, farm: Any, config: Any, seed: int) -> dict[str, float]:
    """Doom games collected into a folder, and how fast."""
    script = cli.task("doomrnn").collector(config)
    start = time.perf_counter()
    frames = collect(folder, farm, config, lambda attempt: ("record", script), seed)["frames"]
    seconds = time.perf_counter() - start
    return {"rate": frames / seconds, "seconds": seconds, "bytes": size(folder, "episode-*.npz") / frames}


def size(folder: Path, pattern: str) -> int:
    """Bytes of the files of a pattern."""
    return sum(path.stat().st_size for path in folder.glob(pattern))


def differing(folder: Path, seed: int) -> float:
    """Frames of the folder's first episode that are not what the game shows when it is played again."""
    from doomrnn.env import TakeCoverGame

    path = list_episodes(folder)[0]
    episode, game = read_episode(path, 1), TakeCoverGame()
    attempt = int(path.stem.split("-")[1])
    shown = [game.reset(Purpose.COLLECT.stream(seed, attempt=attempt).engine_seed())]
    shown += [game.step(float(action[0]))[0] for action in episode.action[:-1]]
    game.close()
    return float(sum(not np.array_equal(a, b) for a, b in zip(shown, episode.obs, strict=True)))


def series(job: Job) -> Measure:
    """Return the encoding stage, from episode files to series files; scaling over the episodes."""
    from rnn.encoding import encode_episodes
    from vae.model import VAE

    store, vae = Path(tempfile.mkdtemp(dir=job.folder)), VAE(MODELS["doomrnn"][0])
    collected(store, Farm(collectors()), TakeCoverCollectConfig(episodes=job.pick(32, 4)), 0)
    paths = list_episodes(store)

    def measure(number: int) -> dict[str, float]:
        chosen = paths[:number] if job.variant == "scaling" else paths
        frames = sum(map(episode_length, chosen))
        with tempfile.TemporaryDirectory(dir=job.folder) as folder:
            episodes, target = Path(folder, "episodes"), Path(folder, "series")
            episodes.mkdir()
            for path in chosen:
                shutil.copy(path, episodes)
            start = time.perf_counter()
            encode_episodes(target, episodes, vae, MODELS["doomrnn"][1], SeriesConfig(), 0)
            seconds = time.perf_counter() - start
            return {"rate": frames / seconds, "seconds": seconds, "bytes": size(target, "series-*.npz") / frames}

    measure(4)
    return measure
