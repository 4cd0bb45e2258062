"""The project's own implementations among dreams: generations on the farm, one dream at a time, the loop alone, CMA-ES.

All dream with the released M and with candidates around the released controller, such as its training had in the end:
their dreams last 1,280 steps on average, at most 2,100. As it began, with random controllers, they lasted 170 (variant
"first", and the scaling over rollouts). Generation g has the same candidates for all. The loop alone and its scaling
are of an M before training: no weight changes their speed.
"""

import functools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cli
import numpy as np
from benchmarking.parts import step_operations
from benchmarking.workers import CORES, Job, Measure

from controller.checkpoints import load_controller
from controller.workers import PackedModel, Setup, TaskPlayers
from experiment.interrupts import Interrupt
from experiment.metrics import Metrics
from rnn.series import load_initial
from rollouts.farm import Farm, serve
from rollouts.rollout import BLOCK, Rollout

RELEASE = Path(__file__).resolve().parents[2] / "results" / "doomrnn"
TRAINING = RELEASE / "controller" / "dream-zch-tau1.15-s0"
FILE = "dream.npz"
SETTLING = 0.3  # seconds for other ranks to hear that a generation is over, before all are stopped
POPSIZE = 64  # paper, appendix A.4
SPREAD, TEMPERATURE = 0.1, 1.15  # of the candidates, as the training began and ended; of the dreams
Z, HIDDEN, POLICY = 64, 512, 1088


def rollouts(job: Job) -> int:
    """Of a candidate (paper, appendix A.4)."""
    return job.pick(16, 2)


def time_limit(job: Job) -> int:
    """Steps of the longest dream."""
    return job.pick(2100, 64)


def candidates(generation: int, first: bool = False) -> np.ndarray:
    """Flat weights float32 [64, 1088] of a generation, around the released controller; `first`: around 0."""
    mean = 0.0 if first else load_controller(TRAINING, "best")[1]
    return np.float32(mean + np.random.default_rng(generation).normal(0, SPREAD, (POPSIZE, POLICY)))


def prepare(job: Job) -> Measure:
    """Writes the released M's arrays to the job's folder."""

    def measure(number: int) -> dict[str, float]:
        from rnn.training import load_rnn

        np.savez(job.folder / FILE, *(v.numpy() for v in load_rnn(RELEASE / "rnn").variables))
        return {}

    return measure


def arrays(folder: Path) -> list[np.ndarray]:
    """Return the prepared arrays: LSTM kernel, recurrent kernel, bias, head kernel, bias."""
    with np.load(folder / FILE) as stored:
        return [stored[name] for name in stored.files]


def first_frames() -> Any:
    """Return the released first z."""
    return load_initial(RELEASE / "series", Z)


def untrained(hidden: int = HIDDEN) -> Any:
    """Doom's M before training."""
    from rnn.model import MDNRNN

    return MDNRNN(Z, 1, hidden, done_head=True)


def setup(job: Job) -> Any:
    """Return what the ranks play with."""
    task = cli.task("doomrnn")
    fields = {"z_size": Z, "action_size": 1, "hidden_size": HIDDEN, "mixtures": 5, "done_head": True}
    return Setup(
        task.presets["paper"].stages.env,
        16,
        rnn=PackedModel(fields, arrays(job.folder)),
        initial=first_frames(),
        temperature=TEMPERATURE,
        time_limit=time_limit(job),
        policy=task.policy_shape("zch", Z, HIDDEN, 40),
    )


class FarmMeasure:
    """Rank 0 of a farm whose other ranks are at work; what is played is up to `play`."""

    def __init__(self, farm: Any, play: Any):
        self.farm, self.play = farm, play

    def __call__(self, number: int) -> dict[str, float]:
        found = self.play(self.farm, number)
        time.sleep(SETTLING)
        return found

    def close(self) -> None:
        """End the other ranks' work."""
        self.farm.close()


def on_farm(factory: Any, play: Any) -> FarmMeasure | None:
    """`play(farm, number)` measured on rank 0, with all ranks playing; None on the others, once they are done."""
    comm = cli.communicator()
    if cli.rank() != 0:
        return serve(factory, comm)
    farm = Farm(factory, comm)
    play(farm, 32 * len(CORES))  # compiles
    return FarmMeasure(farm, play)


def played(farm: Any, rollouts: list) -> dict[str, float]:
    """Return the steps per second and the mean length of rollouts, to the last one's end."""
    start = time.perf_counter()
    lengths = [outcome.length for outcome in farm.play(rollouts)]
    seconds = time.perf_counter() - start
    return {"rate": sum(lengths) / seconds, "seconds": seconds, "length": float(np.mean(lengths))}


def generation(job: Job) -> Measure | None:
    """Return a generation of 64 candidates x 16 rollouts; variants "first", and "scaling" over the rollouts of that."""
    from controller.training import fitness_streams

    task = cli.task("doomrnn")
    config = task.presets["paper"].stages.controller

    def play(farm: Any, number: int) -> dict[str, float]:
        count, which = (number, 0) if job.variant == "scaling" else (POPSIZE * rollouts(job), number)
        streams, weights = fitness_streams(config, 0, which), candidates(which, first=job.variant != "")
        todo = sorted([(c, r) for r in range(config.rollouts) for c in range(POPSIZE)][:count])
        return played(farm, [Rollout(i, "dream", streams[c][r], weights[c]) for i, (c, r) in enumerate(todo)])

    return on_farm(TaskPlayers(task, setup(job)), play)


def one_at_a_time(job: Job) -> Measure:
    """Return a dream alone, as the authors' workers did it: C in NumPy, a compiled step of M called for every step."""
    import tensorflow as tf

    from rnn.mdn import sample

    model, weights, rng = loaded(job), candidates(0), np.random.default_rng(0)
    draw, ended = first_frames().draw, np.zeros((1, 1), np.float32)

    @tf.function
    def step(z, action, restart, h, c, uniforms, normals):
        params, h, c = model.step(z, action, restart, h, c)
        return sample(params, TEMPERATURE, uniforms, normals), h, c, params.done_logit

    def dream_once() -> None:
        z, policy = draw(rng)[None], weights[rng.integers(POPSIZE)]
        (h, c), restart = np.zeros((2, 1, HIDDEN), np.float32), np.ones((1, 1), np.float32)
        for _ in range(time_limit(job)):
            action = np.tanh(np.concatenate([z, c, h], axis=1) @ policy)[:, None]
            noise = rng.random((1, Z), np.float32), rng.standard_normal((1, Z), np.float32)
            z, h, c, done = (part.numpy() for part in step(z, action, restart, h, c, *noise))
            restart = ended
            counted[0] += 1
            if done[0] > 0 or time.perf_counter() > until[0]:
                return

    counted, until = [0], [float("inf")]
    dream_once()

    def measure(number: int) -> dict[str, float]:
        counted[0], start = 0, time.perf_counter()
        until[0] = start + job.seconds
        while time.perf_counter() < until[0]:
            dream_once()
        return {"rate": counted[0] / (time.perf_counter() - start)}

    return measure


def loaded(job: Job) -> Any:
    """Return the prepared model."""
    model = untrained()
    for variable, array in zip(model.variables, arrays(job.folder), strict=True):
        variable.assign(array)
    return model


def loop(job: Job) -> Measure:
    """Measure the compiled step loop alone, its noise ready and no row ending; scaling over M's units ("hidden").

    Variant "row": a single row.
    """
    from rollouts.dream_player import ROWS

    rows = 1 if job.variant == "row" else ROWS
    block = functools.cache(lambda hidden: endless(rows, hidden))

    def measure(number: int) -> dict[str, float]:
        hidden = number if job.variant == "hidden" else HIDDEN
        found = job.rates(block(hidden), rows * BLOCK)
        return found | ({"operations": step_operations(hidden)} if job.variant == "hidden" else {})

    block(HIDDEN)
    return measure


def endless(rows: int, hidden: int) -> Callable[[], None]:
    """Return what advances a batch of dreams by a block, compiled."""
    from controller.policies import Policy
    from rnn.dream import Dream, DreamState, Noise

    shape, rng = cli.task("doomrnn").policy_shape("zch", Z, hidden, 40), np.random.default_rng(0)
    policy, dream = Policy(shape), Dream(untrained(hidden), first_frames(), TEMPERATURE)
    block = dream.compile(lambda inputs, z, c, h, step: policy.act(inputs, z, c, h), (shape.size,))
    starts = [dream.start(rng) for _ in range(rows)]
    state = DreamState(*(np.stack(part) for part in zip(*starts, strict=True)))
    weights = rng.normal(0, 0.1, (rows, shape.size)).astype(np.float32)
    noise = Noise.empty(rows, BLOCK, Z)
    for row in range(rows):
        dream.fill_noise(rng, *(part[row] for part in noise))

    def advance() -> None:
        nonlocal state
        state = DreamState(*(part.numpy() for part in block(state, weights, noise)[0]))

    advance()
    return advance


class TimedPlayer:
    """A player that adds the seconds it plays to `seconds` [1]."""

    def __init__(self, player: Any, seconds: np.ndarray):
        self._player, self._seconds = player, seconds
        self.live, self.room, self.drop = player.live, player.room, player.drop

    def add(self, rollouts: list) -> None:
        """Start rollouts."""
        self._timed(self._player.add, rollouts)

    def advance(self) -> list:
        """Play on for a block."""
        return self._timed(self._player.advance)

    def _timed(self, call: Callable[..., Any], *words: Any) -> Any:
        start = time.perf_counter()
        result = call(*words)
        self._seconds[0] += time.perf_counter() - start
        return result


class TimedPlayers:
    """A factory whose players note in a file of the rank's own how long they played."""

    def __init__(self, factory: Any, folder: Path):
        self._factory, self.capacity = factory, factory.capacity
        self._seconds = np.memmap(folder / f"busy-{cli.rank()}", np.float64, "w+", shape=(1,))

    def make(self, kind: Any) -> TimedPlayer:
        """Return a player of this kind."""
        return TimedPlayer(self._factory.make(kind), self._seconds)


class ReleasedTraining:
    """The released training, replayed and gone on with: a generation a call, files and all."""

    def __init__(self, job: Job, farm: Any):
        from controller.training import ControllerTrainer, RolloutTable

        self.folder = job.folder
        folder = job.folder / "training"
        folder.mkdir(exist_ok=True)
        told = (TRAINING / "fitness.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
        (folder / "fitness.jsonl").write_text("".join(told[: job.pick(len(told), 2)]), encoding="utf-8")
        config = replace(cli.task("doomrnn").presets["paper"].stages.controller, rollouts=rollouts(job))
        self.trainer = ControllerTrainer(folder, farm, config, setup(job).policy, "dream", 0)
        self.generation = self.trainer._replay(print)
        self.trainer.table = RolloutTable(farm, folder, Interrupt())
        self.metrics = Metrics(folder, self.generation)

    def busy(self) -> float:
        """Seconds that all ranks together have played."""
        return sum(float(np.fromfile(self.folder / f"busy-{rank}")[0]) for rank in range(len(CORES)))

    def __call__(self) -> dict[str, float]:
        """Return the next generation."""
        self.generation += 1
        busy, steps, start = self.busy(), self.trainer.table.steps, time.perf_counter()
        self.trainer._generation(self.generation, self.metrics)  # one at a time, as its `run` does them
        seconds = time.perf_counter() - start
        outside = 1 - (self.busy() - busy) / (len(CORES) * seconds)
        return {"rate": (self.trainer.table.steps - steps) / seconds, "seconds": seconds, "outside": outside}


def training(job: Job) -> Measure | None:
    """Measure generations of C's training after the released one's last: the share of time when no rank plays.

    What an idle rank plays again for a slow one counts as played; how much that wastes, one rank against all tells.
    """
    started: list[ReleasedTraining] = []

    def play(farm: Any, number: int) -> dict[str, float]:
        if not started:
            started.append(ReleasedTraining(job, farm))
        return started[0]()

    return on_farm(TimedPlayers(TaskPlayers(cli.task("doomrnn"), setup(job)), job.folder), play)


def evolution(job: Job) -> Measure:
    """CMA-ES alone, ask and tell at 1,088 dimensions; scaling over the population."""
    from controller.cma_es import CMAES

    def measure(number: int) -> dict[str, float]:
        times = 12  # it decomposes its matrix now and then
        es, rng = CMAES(POLICY, number, 0.1, 0), np.random.default_rng(0)
        start = time.perf_counter()
        for _ in range(times):
            es.tell(es.ask(), rng.normal(size=number))
        return {"seconds": (time.perf_counter() - start) / times}

    return measure
