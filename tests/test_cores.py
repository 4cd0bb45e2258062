"""How many ranks fit on a machine that is shared: affinity, and the quotas of control groups of both versions."""

import os
from pathlib import Path
from types import SimpleNamespace

import launch
import pytest

from experiment.cores import usable_cores

MANY = len(os.sched_getaffinity(0))


def group(folder, **files):
    """A control group's folder with these files (dots in their names written as two underscores)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def counted(tmp_path, membership):
    """The cores where the groups are those in `tmp_path`."""
    (tmp_path / "cgroup").write_text(membership)
    return usable_cores(tmp_path, tmp_path / "cgroup")


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("100000 100000", 1), ("150000 100000", min(MANY, 2)), ("1000 100000", 1), ("max 100000", MANY), ("", MANY)],
)
def test_a_quota_of_the_second_version(tmp_path, quota, cores):
    """Rounded up, and at least one; "max" and what cannot be read bind nobody."""
    group(tmp_path / "job" / "step", cpu__max=quota)
    assert counted(tmp_path, "0::/job/step\n") == cores


def test_a_quota_above_binds_too(tmp_path):
    """A batch system sets it for the job, not for the step in it."""
    group(tmp_path / "job", cpu__max="100000 100000")
    group(tmp_path / "job" / "step", cpu__max="max 100000")
    assert counted(tmp_path, "0::/job/step\n") == 1


def test_a_container_that_sees_its_own_group_as_the_root(tmp_path):
    """Its membership may name a path of the host, which is not there; its quota is at the mount itself."""
    group(tmp_path, cpu__max="100000 100000")
    assert counted(tmp_path, "0::/docker/0123abcd\n") == 1


def test_a_quota_of_the_first_version(tmp_path):
    """Two files, in a mount named by its controllers; -1 is no limit, and other controllers' groups say nothing."""
    files = {"cpu__cfs_quota_us": "50000\n", "cpu__cfs_period_us": "100000\n"}
    group(tmp_path / "cpu,cpuacct" / "job", **files)
    group(tmp_path / "memory" / "job", **files)
    assert counted(tmp_path, "4:cpu,cpuacct:/job\n3:memory:/\n0::/\n") == 1
    assert counted(tmp_path, "3:memory:/job\n") == MANY
    group(tmp_path / "cpu,cpuacct" / "job", cpu__cfs_quota_us="-1\n")
    assert counted(tmp_path, "4:cpu,cpuacct:/job\n") == MANY


def test_affinity_counts():
    """A process tied to one core has one, whatever the machine has; so `reproduce.py` starts one rank on it."""
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, before)


def test_no_control_groups_at_all(tmp_path):
    """A system that has none, or hides them."""
    assert usable_cores(tmp_path / "none", tmp_path / "nothing") == MANY


def test_the_launcher_counts_so(monkeypatch):
    """Ranks and collectors come from the cores that may be used."""
    monkeypatch.setattr(launch, "usable_cores", lambda: 4)
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(launch, "find_mpirun", lambda: "mpirun")
    run, task = SimpleNamespace(path=Path("r")), SimpleNamespace(engine=True, name="doomrnn")
    launcher = launch.Launcher(run, task, None)
    assert (launcher.ranks, launcher.collectors) == (4, 6)
    started = []
    monkeypatch.setattr(launch, "completed", lambda command, settings: started.append((command, settings)))
    monkeypatch.setattr(launch, "note_stage", lambda *unused: None)
    launcher.ranked("train_controller.py")
    (words, settings), one_thread = started[0], {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    assert words[:5] == ["mpirun", "-n", "4", "--bind-to", "none"] and one_thread.items() <= settings.items()
    launcher.alone("train_vae.py")
    assert started[1][1] == {}  # V and M use all cores
