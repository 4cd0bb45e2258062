"""Claims about V, M and C themselves: sizes, and V's losses."""

import functools

import cli
import numpy as np
from reporting.claims import Book
from reporting.findings import Finding

from controller.verdicts import REFUTED, SHOWN, UNMEASURED
from experiment.metrics import read_metrics

FLOOR = (32.0, 33.0)  # nats: kl_tolerance * Z, and where the floor is no longer reached
SHARE = 1.1  # of the authors' final loss that counts as theirs
LAST = 0.1  # part of their log that is averaged


def add_claims(book: Book) -> None:
    """Add the claims about models."""
    cli.load_tensorflow()
    for name in (task for task in cli.TASKS if task in book.paper):
        _sizes(book, name)
    _vision(book)


@functools.cache
def counted_models(name: str) -> dict[str, int]:
    """Return the numbers of parameters of V and M as preset `paper` of a task builds them."""
    from rnn.training import build_rnn
    from vae.training import build_vae

    task, stages = cli.task(name), cli.task(name).presets["paper"].stages
    return {
        "vae": build_vae(stages.vae, 0).count_params(),
        "rnn": build_rnn(stages.rnn, stages.vae.z_size, task.action_size, 0).count_params(),
    }


def _sizes(book: Book, name: str) -> None:
    """Add the published numbers of parameters, counted on models built from the paper's presets."""
    task, told, counted = cli.task(name), book.paper[name]["parameters"], dict(counted_models(name))
    stages = task.presets["paper"].stages
    sizes = stages.vae.z_size, stages.rnn.hidden_size, stages.controller.hidden_size
    counted["controller"] = {v: task.policy_shape(v, *sizes).size for v in told["controller"]}
    same = all(counted[key] == told[key] for key in counted)
    words = [f"V {counted['vae']:,}", f"M {counted['rnn']:,}"]
    words += [f"C {variant} {size:,}" for variant, size in counted["controller"].items()]
    finding = Finding(", ".join(words), outcome=SHOWN if same else REFUTED)
    says = "V, M and C have the published numbers of parameters"
    rule = "counted on the models of preset paper, all equal"
    book.add(f"{name}: sizes", says, told["source"], rule, lambda: finding)


def _vision(book: Book) -> None:
    """V's held-out losses beside those that the authors' V ended with."""
    theirs = book.paper["doomrnn"]["vae_loss"]["recon_loss"]
    bound = SHARE * float(np.mean(theirs[-round(LAST * len(theirs)) :]))
    validated = {
        run: row
        for run in sorted(book.evidence.kept["doomrnn"])
        for row in read_metrics(run / "vae")
        if "validation_kl" in row
    }  # the last row of each run
    finding, run = Finding("no metrics of V yet", outcome=UNMEASURED), next(iter(validated), None)
    if run is not None:
        kl, error = validated[run]["validation_kl"], validated[run]["validation_reconstruction"]
        reached = FLOOR[0] <= kl < FLOOR[1] and error <= bound
        figures = f"held-out KL {kl:.2f} nats, squared error {error:.2f}; theirs {bound / SHARE:.2f} in training"
        finding = Finding(figures, outcome=SHOWN if reached else REFUTED)
    book.add(
        "doomrnn: V's losses",
        "V ends as the authors' did: KL at its floor of 32 nats, and as small a squared error",
        "authors' code, V's training log",
        f"held-out KL from 32 to 33, and squared error of at most {bound:.2f}, a tenth above their last",
        lambda: finding,
        data=True,
        vision=run,
    )
