"""How fast the stages are on this machine, beside what they must reach.

    python scripts/benchmark.py [--json FILE]

Each figure is the median of several repetitions in a process of its own; let the machine do nothing else meanwhile.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cli

TARGETS = {  # figure: (unit, what it must reach, or None)
    "collect": ("frames/s on one core, written to disk", 1700),
    "vae_training": ("frames/s, all cores", 443),
    "vae_encoding": ("frames/s, all cores", 5000),
    "rnn_training": ("frames/s at 100 x 100, all cores", 7000),
    "dream": ("steps/s of rollouts still alive, a rank a core", 25000),
    "carracing_environment": ("steps/s on one core, observation included", 4500),
    "carracing_gymnasium": ("steps/s of Gymnasium's CarRacing-v3 on one core", None),
    "carracing_agent": ("steps/s of V, M, C and the task, a rank a core", 2500),
    "carracing_memory": ("MB grown from the 1,000th reset to the 10,000th", None),
}
REPEATS = 5


def main() -> None:
    """Measure everything, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--only", choices=TARGETS, help="measure one figure")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        return globals()[f"measure_{arguments.only}"]()
    figures = {name: launch(name) for name in ([arguments.only] if arguments.only else TARGETS)}
    for name, values in figures.items():
        unit, target = TARGETS[name]
        median = statistics.median(values)
        aim = f"; target {target:,}" if target else ""
        print(f"{name:21} {median:9,.0f} {unit} (from {min(values):,.0f} to {max(values):,.0f}{aim})")
    if arguments.json:
        from vae.files import write_json
        from vae.runs import environment

        write_json(arguments.json, {"command": "python scripts/benchmark.py", "figures": figures, **environment()})
    return None


def launch(name: str) -> list[float]:
    """Run one measurement in its own process, or on all ranks, and read its figures."""
    import reproduce

    command = [sys.executable, __file__, "--only", name, "--inside"]
    settings = dict(os.environ)
    if name in ("collect", "carracing_environment", "carracing_gymnasium", "carracing_memory"):
        command = ["taskset", "-c", "0", *command]
    if name in ("dream", "carracing_agent"):
        command = [reproduce.find_mpirun(), "-n", str(os.cpu_count()), "--bind-to", "none", *command]
        settings |= reproduce.MPI_SETTINGS
    if name not in ("vae_training", "vae_encoding", "rnn_training"):
        settings |= cli.ONE_THREAD
    done = subprocess.run(command, env=settings, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def rates(step, amount: int, seconds: float = 3.0) -> None:
    """Print amounts per second of REPEATS repetitions of a few seconds each."""
    step()
    found = []
    for _ in range(REPEATS):
        count, start = 0, time.monotonic()
        while time.monotonic() - start < seconds:
            step()
            count += amount
        found.append(count / (time.monotonic() - start))
    print(json.dumps(found))


def measure_collect() -> None:
    """The collecting stage itself, on one core (the engine shares it)."""
    from controller.cast import Setup, TaskCast
    from controller.collecting import collect
    from controller.farm import Farm
    from doomrnn.config import TakeCoverCollectConfig

    task, found, config = cli.task("doomrnn"), [], TakeCoverCollectConfig(episodes=20)
    cast = TaskCast(task, Setup(task.presets["paper"].stages["env"], 1, 101))
    farm = Farm(cast)
    for seed in range(REPEATS):
        with tempfile.TemporaryDirectory() as folder:
            start = time.monotonic()
            frames = collect(Path(folder), farm, config, task.collector(config), seed)["frames"]
            found.append(frames / (time.monotonic() - start))
    print(json.dumps(found))


def measure_vae_training() -> None:
    """Updates of V on batches of 100 frames in memory."""
    import numpy as np

    from vae.config import VAEConfig
    from vae.training import VAETrainer, build_vae

    config = VAEConfig()
    trainer = VAETrainer(build_vae(config, 0), config)
    frames = np.random.default_rng(0).integers(0, 256, (100, 64, 64, 3), np.uint8)
    eps = np.zeros((100, 64), np.float32)
    rates(lambda: float(trainer.update(frames, eps).total), 100)


def measure_vae_encoding() -> None:
    """Encoding frames in memory."""
    import numpy as np

    from rnn.encoding import compile_encoder
    from vae.model import VAE

    encode = compile_encoder(VAE(64))
    frames = np.random.default_rng(0).integers(0, 256, (256, 64, 64, 3), np.uint8)
    rates(lambda: encode(frames)[0].numpy(), len(frames))


def measure_rnn_training() -> None:
    """Updates of M on 100 rows of 100 steps."""
    import numpy as np
    import tensorflow as tf

    from rnn.batches import Batch
    from rnn.config import RNNConfig
    from rnn.training import RNNTrainer, build_rnn

    config = RNNConfig(sequence_length=100)
    trainer, rng = RNNTrainer(build_rnn(config, 64, 1, 0), config), np.random.default_rng(0)
    flags = (rng.random((100, 100)) < 0.003).astype(np.float32)
    z, action = rng.standard_normal((100, 101, 64), np.float32), rng.uniform(-1, 1, (100, 100, 1)).astype(np.float32)
    batch = Batch(z, action, flags, flags, *np.ones((2, 100, 100), np.float32), 1 - flags)
    rates(lambda: float(trainer.update(batch, tf.constant(1e-4)).total), 10_000)


def measure_dream() -> None:
    """Generations of 64 x 16 rollouts of uneven lengths (mean about 400), played by all ranks."""
    import numpy as np

    from controller.cast import TaskCast
    from controller.farm import Farm, work
    from controller.rollouts import Rollout
    from controller.training import fitness_keys

    comm, task = cli.world(), cli.task("doomrnn")
    cast = TaskCast(task, dream_setup(task))
    if cli.rank() != 0:
        return work(cast, comm)
    farm, found, config = Farm(cast, comm), [], task.presets["paper"].stages["controller"]
    for generation in range(REPEATS + 1):
        weights = np.random.default_rng(generation).normal(0, 0.1, (config.popsize, 1088)).astype(np.float32)
        keys = [key for row in fitness_keys(config, generation) for key in row]
        rollouts = [Rollout(i, "dream", (0, *key), weights[i // config.rollouts]) for i, key in enumerate(keys)]
        start = time.monotonic()
        lengths = [outcome.length for outcome in farm.play(rollouts)]
        found.append(sum(lengths) / (time.monotonic() - start))
        print(f"generation {generation}: lengths {min(lengths)} to {max(lengths)}, mean {np.mean(lengths):.0f}")
    farm.close()
    print(json.dumps(found[1:]))
    return None


def measure_carracing_environment() -> None:
    """Our environment, driven by the wandering policy."""
    import numpy as np

    from carracing.env import CarRacingGame
    from carracing.scripted import CarRacingScript

    game, found = CarRacingGame(), []
    for seed in range(REPEATS + 1):
        actions = CarRacingScript("brownian").actions(np.random.default_rng(seed), 1000)
        start = time.monotonic()
        game.reset(seed)
        steps = 0
        for action in actions:
            steps += 1
            if any(game.step(action)[2:]):
                break
        found.append(steps / (time.monotonic() - start))
    print(json.dumps(found[1:]))


def measure_carracing_gymnasium() -> None:
    """Gymnasium's own environment, the same drive."""
    import gymnasium
    import numpy as np

    from carracing.scripted import CarRacingScript

    env, found = gymnasium.make("CarRacing-v3"), []
    for seed in range(REPEATS):
        actions = CarRacingScript("brownian").actions(np.random.default_rng(seed), 200)
        start = time.monotonic()
        env.reset(seed=seed)
        for action in actions:
            env.step(action)
        found.append(len(actions) / (time.monotonic() - start))
    print(json.dumps(found))


def measure_carracing_memory() -> None:
    """The highest resident memory while tracks come and go."""
    import resource

    from carracing.env import CarRacingGame

    game, sizes = CarRacingGame(), {}
    for number in range(10_000):
        game.reset(number)
        for _ in range(10):
            game.step((0.1, 0.5, 0.0))
        if number + 1 in (1000, 10_000):
            sizes[number + 1] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(json.dumps([sizes[10_000] - sizes[1000]]))


def measure_carracing_agent() -> None:
    """A generation of the real task's agent, untrained, played by all ranks: 64 rollouts of at most 1,000 steps."""
    import numpy as np

    from controller.cast import Setup, TaskCast, Weights
    from controller.farm import Farm, work
    from controller.rollouts import Rollout
    from controller.training import fitness_keys
    from rnn.model import MDNRNN
    from rnn.training import MODEL_FIELDS
    from vae.model import VAE

    comm, task = cli.world(), cli.task("carracing")
    stages = task.presets["paper"].stages
    vae, rnn = VAE(32), MDNRNN(32, 3, 256)
    models = [
        Weights({f: getattr(model, f) for f in names}, [v.numpy() for v in model.variables])
        for model, names in ((vae, ("z_size", "precision")), (rnn, MODEL_FIELDS))
    ]
    shape = task.policy_shape("zh", 32, 256, 40)
    games = stages["evaluate"].games_per_rank
    cast = TaskCast(task, Setup(stages["env"], games, vae=models[0], rnn=models[1], policy=shape))
    if cli.rank() != 0:
        return work(cast, comm)
    farm, found = Farm(cast, comm), []
    for generation in range(4):
        weights = np.random.default_rng(generation).normal(0, 0.1, (64, shape.size)).astype(np.float32)
        keys = [row[0] for row in fitness_keys(stages["controller"], generation)]
        rollouts = [Rollout(i, "real", (0, *key), weights[i]) for i, key in enumerate(keys)]
        start = time.monotonic()
        lengths = [outcome.length for outcome in farm.play(rollouts)]
        found.append(sum(lengths) / (time.monotonic() - start))
    farm.close()
    print(json.dumps(found[1:]))
    return None


def dream_setup(task):
    """An untrained M whose done logit is shifted so that dreams end after some 400 steps."""
    import numpy as np

    from controller.cast import Setup, Weights
    from rnn.latents import InitialLatents
    from rnn.model import MDNRNN
    from rnn.training import MODEL_FIELDS

    model, rng = MDNRNN(64, 1, 512, done_head=True), np.random.default_rng(0)
    kernel, bias = model.head.kernel.numpy(), model.head.bias.numpy()
    kernel[:, -1] = rng.normal(0, 0.2, len(kernel))
    model.head.kernel.assign(kernel)
    h, c = (np.zeros((512, 512), np.float32) for _ in range(2))
    logits = []
    for _ in range(60):
        z, action = rng.standard_normal((512, 64), np.float32), rng.uniform(-1, 1, (512, 1)).astype(np.float32)
        params, h, c = model.step(z, action, np.zeros((512, 1), np.float32), h, c)
        logits.append(params.done_logit.numpy())
    bias[-1] -= np.quantile(np.concatenate(logits[10:]), 1 - 1 / 400)
    model.head.bias.assign(bias)
    first = InitialLatents(np.zeros((10, 64), np.float32), np.zeros((10, 64), np.float32))
    weights = Weights({f: getattr(model, f) for f in MODEL_FIELDS}, [v.numpy() for v in model.variables])
    stages = task.presets["paper"].stages
    shape = task.policy_shape("zch", 64, 512, 40)
    return Setup(stages["env"], 16, rnn=weights, initial=first, temperature=1.15, policy=shape)


if __name__ == "__main__":
    main()
