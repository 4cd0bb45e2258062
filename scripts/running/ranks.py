"""Where a process stands among MPI ranks, and what every rank but the first one does.

Nothing here loads NumPy at import: a rank sets its threads first.
"""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from threadpoolctl import threadpool_limits

from experiment.errors import InputError, command

if TYPE_CHECKING:
    from controller.task import Task

LAUNCHERS = (
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "PMI_SIZE"),  # MPICH, Intel MPI, srun --mpi=pmi2
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),  # srun; a batch script itself has no number of tasks of a step
)
WORDS_SECONDS = 5.0  # for rank 0 to say why, before the end of another one ends it
ONE_THREAD = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
}


def one_thread_a_rank() -> None:
    """Use one thread and no GPU in this process, as rollout ranks do; to be called before NumPy is imported."""
    os.environ.update(ONE_THREAD)
    if "numpy" in sys.modules:  # a task of one's own loads it while the arguments are read
        threadpool_limits(1)


def rank() -> int:
    """Return this process's MPI rank as its launcher tells it, 0 without one."""
    return launched()[0]


def launched(launchers: tuple = LAUNCHERS) -> tuple[int, int]:
    """Return (rank, size) as a launcher tells them: Open MPI, another MPI (PMI) or Slurm's srun; (0, 1) without one."""
    for place, size in launchers:
        found = os.environ.get(place, ""), os.environ.get(size, "")
        if all(word.isdigit() for word in found):
            return int(found[0]), int(found[1])
    return 0, 1


def communicator() -> Any:
    """Return MPI's communicator of all ranks, or None for a process started without a launcher.

    Ends the process with code 2 where the launcher and this Python's MPI do not know each other: every rank would take
    itself for the only one, or wait for a rank 0 that never speaks.
    """
    place, size = launched()
    if size == 1 and "OMPI_COMM_WORLD_SIZE" not in os.environ:
        return None
    from mpi4py import MPI

    if (MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()) != (place, size):
        from launch import find_mpirun
        from running.exits import ending_well

        with ending_well(MPI.COMM_WORLD):
            line = f"the launcher says rank {place} of {size}, this Python's MPI sees {MPI.COMM_WORLD.Get_size()}"
            raise InputError(f"{line}; start the ranks with {command(find_mpirun())} instead")
    return MPI.COMM_WORLD


def refuse_ranks() -> None:
    """End every rank of a script that runs in one process: each would do all of it, and the first to fail ends all.

    A task of Slurm's is not refused: a shell that srun started, and what is called from it, is one too.
    """
    place, size = launched(LAUNCHERS[:-1])
    if size > 1:
        fail(f"error: {Path(sys.argv[0]).name} runs in one process, and here are {size}; start it without mpirun")
        time.sleep(min(place, 1) * WORDS_SECONDS)
        raise SystemExit(2)


def fail(line: str) -> None:
    """Print one line on standard error, from rank 0 only."""
    if rank() == 0:
        print(line, file=sys.stderr, flush=True)


def load_tensorflow() -> None:
    """Import TensorFlow without the greetings it prints whatever its log level; they are shown if it fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            with _no_garbage() if "tensorflow" not in sys.modules else contextlib.nullcontext():
                import tensorflow as tf

                tf.zeros(1)
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def _no_garbage() -> Iterator[None]:
    """Look for no garbage among the million objects that an import within makes, neither while they come nor later.

    A sixth of TensorFlow's import is saved, and a third of a second whenever all objects are looked through (measured).
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if collects:
            gc.enable()


def serve(comm: Any, task: Task, tensorflow: bool = True) -> None:
    """Play what rank 0 hands out until it leaves its farm: all that any other rank does.

    tensorflow: load it now, while rank 0 prepares.
    """
    from controller.workers import TaskPlayers
    from rollouts import farm

    farm.introduce(comm)
    if tensorflow:
        load_tensorflow()
    farm.serve(TaskPlayers(task, farm.await_setup(comm)), comm)
