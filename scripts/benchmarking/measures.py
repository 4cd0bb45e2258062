"""What the benchmark measures: for every stage its implementations, its unit, and the sizes its time is scaled over."""

import statistics
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarking.workers import CORES, PATIENCE, Implementation, MeasurementFailed, Worker
from launch import crowded

TORCH = {"needs": "torch"}
ALONE = "one dream at a time on every core, a compiled step called for each, as the authors did"
PEER_DREAM = "a process a core, batches of the size that does best, stepped in Python until the last row has ended"
LOOP = "the compiled loop alone on every core: noise ready, no row ends"


@dataclass(frozen=True)
class Scaling:
    """A part timed at several sizes; one that scales as its own operations do has exponent 1."""

    implementation: Implementation
    along: str
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class Benchmark:
    """A stage: what is counted in which unit, its implementations, and its scaling.

    prepare: a part that writes what the implementations read. once: one repetition is enough. asides: other series in
    the same unit that are shown too, in words.
    """

    what: str
    unit: str
    implementations: dict[str, Implementation]
    scalings: dict[str, Scaling] = field(default_factory=dict)
    prepare: str = ""
    once: bool = False
    asides: dict[str, str] = field(default_factory=dict)


def ceilings(step: str, place: str = "all") -> dict[str, Implementation]:
    """Who measures the kernels of a step."""
    return {
        "products": Implementation("benchmarking.ceilings.tensorflow", "TensorFlow's products", place, step),
        "products by PyTorch": Implementation(
            "benchmarking.ceilings.torch", "PyTorch's products", place, step, "torch"
        ),
    }


def scaling(part: str, along: str, sizes: tuple[int, ...], place: str = "all", variant: str = "scaling") -> Scaling:
    """Return the scaling of a part."""
    return Scaling(Implementation(part, "", place, variant), along, sizes)


OPERATIONS = "the operations of 128 to 1,024 hidden units"
HIDDEN_UNITS = (128, 256, 512, 1024)
DREAM = Benchmark(
    "useful steps of a generation of dreams, 64 candidates x 16 rollouts of uneven lengths",
    "steps/s",
    {
        "ours": Implementation("benchmarking.dreams.generation", "the farm, a rank a core", "ranks"),
        "first": Implementation(
            "benchmarking.dreams.generation", "ours when training begins: shorter dreams", "ranks", "first"
        ),
        "PyTorch": Implementation("benchmarking.peers.dream", PEER_DREAM, "each", **TORCH),
        "one rank": Implementation("benchmarking.dreams.generation", "the farm of one rank", "rank"),
        "one at a time": Implementation("benchmarking.dreams.one_at_a_time", ALONE, "each"),
        "one row": Implementation(
            "benchmarking.dreams.loop", "one dream at a time in our compiled loop", "each", "row"
        ),
        "loop": Implementation("benchmarking.dreams.loop", LOOP, "each"),
        **ceilings("dream", "each"),
    },
    {
        "rollouts": scaling("benchmarking.dreams.generation", "rollouts", (128, 256, 512, 1024), "ranks"),
        "hidden": scaling("benchmarking.dreams.loop", OPERATIONS, HIDDEN_UNITS, "each", "hidden"),
    },
    prepare="benchmarking.dreams.prepare",
    asides={"PyTorch, all steps rate": "all it does, the steps of rows that have ended too"},
)
DREAM_ENVIRONMENT = Benchmark(
    "the released dream in Gymnasium, random actions, resets included",
    "steps/s",
    {
        "ours": Implementation(
            "benchmarking.dream_envs.environment", "64 dreams side by side, a process", variant="64"
        ),
        "alone": Implementation("benchmarking.dream_envs.environment", "one dream, on one core", "one", "1"),
    },
)
GENERATION = Benchmark(
    "a generation of C's training as it is, CMA-ES, files and messages included",
    "steps/s",
    {"ours": Implementation("benchmarking.dreams.training", "`ControllerTrainer`, a rank a core", "ranks")},
    {"population": scaling("benchmarking.dreams.evolution", "CMA-ES's population", (32, 64, 128, 256), "rank")},
    prepare="benchmarking.dreams.prepare",
)
CARRACING_ENVIRONMENT = Benchmark(
    "CarRacing with its observation, on one core",
    "steps/s",
    {
        "ours": Implementation("benchmarking.games.carracing_environment", "64 x 64 pixels, resets included", "one"),
        "Gymnasium": Implementation("benchmarking.environments.gymnasium", "CarRacing-v3, resets not counted", "one"),
        "EnvPool": Implementation("benchmarking.environments.envpool", "CarRacing-v3 in C++", "one", needs="envpool"),
    },
    {"games": scaling("benchmarking.games.carracing_environment", "environments in a batch", (4, 8, 16, 32), "one")},
)
CARRACING_AGENT = Benchmark(
    "V, M, C and CarRacing together, whole episodes",
    "steps/s",
    {
        "ours": Implementation("benchmarking.games.agent", "a rank a core", "ranks", "carracing float32"),
        "parts": Implementation(
            "benchmarking.games.parts", "environment and networks apart", "each", "carracing float32"
        ),
        "bfloat16": Implementation("benchmarking.games.agent", "ours in bfloat16", "ranks", "carracing bfloat16"),
        "parts bfloat16": Implementation("benchmarking.games.parts", "its parts apart", "each", "carracing bfloat16"),
    },
    {"rollouts": scaling("benchmarking.games.agent", "rollouts", (32, 64, 128, 256), "ranks", "carracing scaling")},
    asides={
        "parts, environment rate": "CarRacing alone on every core",
        "parts, networks rate": "V, C and M alone on every core",
        "parts bfloat16, networks rate": "V, C and M alone in bfloat16",
    },
)
CARRACING_MEMORY = Benchmark(
    "growth of resident memory from the 1,000th track to the 10,000th",
    "MB",
    {"ours": Implementation("benchmarking.games.carracing_memory", "peak", "one")},
    once=True,
)
VAE_TRAINING = Benchmark(
    "updates of V, batches of 100 frames in memory",
    "frames/s",
    {
        "ours": Implementation("benchmarking.parts.vae_training", "`VAETrainer`"),
        "bfloat16": Implementation("benchmarking.parts.vae_training", "ours in bfloat16", variant="bfloat16"),
        "PyTorch": Implementation(
            "benchmarking.peers.vae_training", "same network, channels last, fused Adam", **TORCH
        ),
        **ceilings("vae_training"),
    },
    {"batch": scaling("benchmarking.parts.vae_training", "frames in a batch", (25, 50, 100, 200))},
)
VAE_ENCODING = Benchmark(
    "encoding batches of 256 frames in memory",
    "frames/s",
    {
        "ours": Implementation("benchmarking.parts.vae_encoding", "V's encoder"),
        "PyTorch": Implementation("benchmarking.peers.vae_encoding", "the same network, channels last", **TORCH),
        "bfloat16": Implementation("benchmarking.parts.vae_encoding", "ours in bfloat16", variant="bfloat16"),
        **ceilings("vae_encoding"),
    },
    {"batch": scaling("benchmarking.parts.vae_encoding", "frames in a batch", (64, 128, 256, 512))},
)
RNN_TRAINING = Benchmark(
    "updates of Doom's M, 100 rows of 100 steps",
    "frames/s",
    {
        "ours": Implementation("benchmarking.parts.rnn_training", "`RNNTrainer`, states cleared at restarts"),
        "bfloat16": Implementation("benchmarking.parts.rnn_training", "ours in bfloat16", variant="bfloat16"),
        "PyTorch": Implementation("benchmarking.peers.rnn_training", "`nn.LSTM`, states never cleared", **TORCH),
        **ceilings("rnn_training"),
    },
    {
        "rows": scaling("benchmarking.parts.rnn_training", "rows in a batch", (25, 50, 100, 200)),
        "hidden": scaling("benchmarking.parts.rnn_training", OPERATIONS, HIDDEN_UNITS, variant="hidden"),
    },
)
DOOM_AGENT = Benchmark(
    "V, M, C and ViZDoom together, whole episodes",
    "steps/s",
    {
        "ours": Implementation("benchmarking.games.agent", "a rank a core", "ranks", "doomrnn float32"),
        "parts": Implementation(
            "benchmarking.games.parts", "environments and networks apart", "each", "doomrnn float32"
        ),
        "large": Implementation("benchmarking.games.agent", "ours from 640 x 480 pixels", "ranks", "doomrnn 640"),
        "parts large": Implementation("benchmarking.games.parts", "its parts apart", "each", "doomrnn 640"),
        "engine": Implementation(
            "benchmarking.games.doom_engine", "ViZDoom alone on every core, an engine a core", "each"
        ),
    },
    {"rollouts": scaling("benchmarking.games.agent", "rollouts", (32, 64, 128, 256), "ranks", "doomrnn scaling")},
    asides={
        "parts, environment rate": "16 engines and their observations in turn on every core",
        "parts, networks rate": "V, C and M alone on every core",
        "parts large, environment rate": "the same engines at 640 x 480",
    },
)
DOOM_COLLECTING = Benchmark(
    "episodes of the random policy on disk, of one core",
    "frames/s",
    {
        "ours": Implementation(
            "benchmarking.games.collecting", f"the stage itself, 120 episodes, {crowded(len(CORES))} ranks", "crowd"
        ),
        "engine": Implementation("benchmarking.games.doom_engine", "ViZDoom alone on one core", "one"),
    },
    {"episodes": scaling("benchmarking.games.collecting_alone", "episodes", (4, 8, 16, 32), "one")},
)
SERIES = Benchmark(
    "encoding 32 episodes from disk to disk",
    "frames/s",
    {"ours": Implementation("benchmarking.games.series", "the stage itself")},
    {"episodes": scaling("benchmarking.games.series", "episodes", (4, 8, 16, 32))},
)
BENCHMARKS = {
    "dream": DREAM,
    "dream_environment": DREAM_ENVIRONMENT,
    "generation": GENERATION,
    "carracing_environment": CARRACING_ENVIRONMENT,
    "carracing_agent": CARRACING_AGENT,
    "carracing_memory": CARRACING_MEMORY,
    "vae_training": VAE_TRAINING,
    "vae_encoding": VAE_ENCODING,
    "rnn_training": RNN_TRAINING,
    "doom_agent": DOOM_AGENT,
    "doom_collecting": DOOM_COLLECTING,
    "series": SERIES,
}


class BenchmarkRun:
    """A measure under way: its workers while in context, and what they found.

    series: the values of all repetitions by implementation, and of what else they reported by "implementation, key".
    scaling: sizes and the seconds of every round. kernels: what the kernels of a step took, by library and repetition.
    missing: what could not be measured, and why.
    """

    def __init__(self, measure: Benchmark, folder: Path, seconds: float, smoke: bool):
        self.measure, self.seconds = measure, seconds
        self._folder, self._smoke = folder, smoke
        self.workers: dict[str, Worker] = {}
        self.series: dict[str, list[float] | None] = {}
        self.scaling: dict[str, tuple[list[float], list[list[float]]]] = {}
        self.kernels: dict[str, list[dict[str, dict[str, float]]]] = {}
        self.missing: dict[str, str] = {}

    def __enter__(self) -> "BenchmarkRun":
        """Start everybody who is there, one after the other."""
        try:
            if self.measure.prepare:
                self.workers["prepare"] = self.launch(Implementation(self.measure.prepare, ""), self.seconds)
                self.workers["prepare"].measure(0)
                self.workers.pop("prepare").close()
            for name, implementation in self.measure.implementations.items():
                self.start(name, implementation)
        except BaseException:
            self.end(0)
            raise
        return self

    def launch(self, implementation: Implementation, seconds: float) -> Worker:
        """Return a worker, ready."""
        return Worker(implementation, self._folder, seconds, self._smoke)

    def start(self, name: str, implementation: Implementation) -> None:
        """Start one, or say why not."""
        if implementation.missing:
            self.missing[name] = implementation.missing
            return
        try:
            self.workers[name] = self.launch(implementation, self.seconds)
        except MeasurementFailed as failed:
            self.missing[name] = f"failed: {failed}"

    def __exit__(self, kind: type | None, *unused: object) -> None:
        self.end(PATIENCE if kind is None else 0)

    def end(self, patience: float) -> None:
        """End everybody."""
        for worker in self.workers.values():
            worker.close(patience)

    def compete(self, repeats: int) -> None:
        """Measure all implementations alternately, repetition by repetition."""
        for number in range(1, 2 if self.measure.once else repeats + 1):
            for name in list(self.workers):
                try:
                    self.note(name, self.workers[name].measure(number))
                except MeasurementFailed as failed:
                    self.missing[name] = f"failed: {failed}"
                    self.workers.pop(name).close()
                    self.forget(name)

    def note(self, name: str, result: dict[str, Any]) -> None:
        """Keep a repetition's result."""
        if "products" in result:
            self.kernels.setdefault(name, []).append(result["products"])
            return
        for key, value in result.items():
            main = key == "rate" or len(result) == 1
            self.series.setdefault(name if main else f"{name}, {key}", []).append(value)

    def forget(self, name: str) -> None:
        """Drop what an implementation that failed had measured: its repetitions have no pairs."""
        self.kernels.pop(name, None)
        for key in [key for key in self.series if key == name or key.startswith(f"{name}, ")]:
            del self.series[key]

    def scale(self, rounds: int, seconds: float) -> None:
        """Time every scaling at all of its sizes, round after round."""
        for name, along in self.measure.scalings.items():
            try:
                worker = self.launch(along.implementation, seconds)
            except MeasurementFailed as failed:
                self.missing[f"scaling over {along.along}"] = f"failed: {failed}"
                continue
            try:
                found = [[worker.measure(size) for size in along.sizes] for _ in range(rounds)]
                sizes = [result.get("operations", size) for result, size in zip(found[0], along.sizes, strict=True)]
                self.scaling[name] = sizes, [[result["seconds"] for result in each] for each in found]
            except MeasurementFailed as failed:
                self.missing[f"scaling over {along.along}"] = f"failed: {failed}"
            finally:
                worker.close()

    def layers(self) -> dict[str, dict[str, float]]:
        """Of every kernel its operations for one unit of work, and the operations a second by each library."""
        rows: dict[str, dict[str, float]] = {}
        for library, repetitions in self.kernels.items():
            for name in repetitions[0]:
                seconds = statistics.median(found[name]["seconds"] for found in repetitions)
                operations = repetitions[0][name]["operations"]
                rows.setdefault(name, {"operations": operations})[library] = operations / seconds
        return rows
