"""Files that know when they were damaged: manifests, sealed JSON, journals; and a disk that is full or read-only."""

import contextlib
import errno
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest
from commands import python, run
from samples import leftovers

from experiment.errors import InputError, disk_trouble
from experiment.files import (
    MANIFEST,
    atomic_write,
    check_manifest,
    read_file,
    read_json,
    read_sealed,
    seal,
    unseal,
    write_manifest,
    write_sealed,
)
from experiment.jsonl import append_row, read_journal, write_journal
from experiment.stage_folder import finish, working

ROWS = [{"generation": 1, "fitness": [1.5, -2.0]}, {"generation": 2, "fitness": [0.1 + 0.2, 1e300]}]
FIELDS = {"generation": int, "fitness": list}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished folder of two files, one hidden, and a subfolder."""
    (tmp_path / "a.bin").write_bytes(b"0123456789")
    (tmp_path / "b.json").write_text('{"b": 1}')
    (tmp_path / ".lock").write_text("")
    (tmp_path / "tensorboard").mkdir()
    write_manifest(tmp_path)
    return tmp_path


# --- manifests ----------------------------------------------------------------------------------------------


def test_a_manifest_lists_what_a_stage_left(folder):
    """Names, sizes and SHA-256; nothing hidden, nothing below."""
    files = read_sealed(folder / MANIFEST)["files"]
    assert {name: entry["bytes"] for name, entry in files.items()} == {"a.bin": 10, "b.json": 8}
    assert files["a.bin"]["sha256"] == "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882"
    check_manifest(folder)
    assert read_file(folder / "a.bin") == b"0123456789" and read_json(folder / "b.json") == {"b": 1}


def test_every_flipped_bit_is_found(folder):
    """Whatever the format, a listed file of the same size is found damaged when it is read."""
    for position in range(10):
        for bit in range(8):
            data = bytearray(b"0123456789")
            data[position] ^= 1 << bit
            (folder / "a.bin").write_bytes(bytes(data))
            check_manifest(folder)  # sizes alone
            with pytest.raises(InputError, match=r"a\.bin: damaged, .*; run it again"):
                read_file(folder / "a.bin", "run it again")


def test_a_listed_file_that_is_gone_or_cut(folder):
    """Found before a stage that needs it begins."""
    (folder / "a.bin").write_bytes(b"012345678")
    with pytest.raises(InputError, match=r"a\.bin: damaged, manifest.json lists 10 bytes; again"):
        check_manifest(folder, "again")
    (folder / "a.bin").unlink()
    with pytest.raises(InputError, match=r"a\.bin: not there, though"):
        check_manifest(folder, "again")


def test_a_damaged_manifest_is_refused(folder):
    """Cut at every byte, or with any bit of it flipped: refused, or still the same list."""
    path = folder / MANIFEST
    good = path.read_bytes()
    content = json.loads(good)
    damaged = [good[:length] for length in range(len(good) - 1)]
    damaged += [good[:n] + bytes([good[n] ^ 1 << bit]) + good[n + 1 :] for n in range(len(good)) for bit in (0, 3, 5)]
    for data in damaged:
        path.write_bytes(data)
        with contextlib.suppress(InputError):
            read_file(folder / "a.bin")
            assert json.loads(data) == content
    for files in ({"../a": {"bytes": 1, "sha256": ""}}, {"a.bin": {"bytes": "1", "sha256": ""}}, {"a.bin": 3}, []):
        write_sealed(path, {"files": files})
        with pytest.raises(InputError, match="not a manifest"):
            check_manifest(folder)


def test_a_stage_at_work_has_no_manifest(tmp_path):
    """Its files may change; when it ends they are listed again."""
    with working(tmp_path, {}):
        (tmp_path / "x").write_text("1")
        finish(tmp_path, {})
    with working(tmp_path, {}):
        assert not (tmp_path / MANIFEST).exists()
        (tmp_path / "x").write_text("22")
        finish(tmp_path, {})
    check_manifest(tmp_path)
    assert read_file(tmp_path / "x") == b"22"


# --- sealed JSON --------------------------------------------------------------------------------------------


def test_sealed_json_knows_every_change(tmp_path):
    """Any flipped bit gives another value or none at all, and neither is believed."""
    path, value = tmp_path / "x.json", {"seed": 3, "name": "ü", "list": [1.5, None, True], "nested": {"a": {}}}
    write_sealed(path, value)
    assert read_sealed(path) == value and unseal(seal(value)) == value
    good = path.read_bytes()
    for position in range(len(good)):
        for bit in range(8):
            path.write_bytes(good[:position] + bytes([good[position] ^ 1 << bit]) + good[position + 1 :])
            with contextlib.suppress(InputError):
                assert read_sealed(path) == value  # a space for another one
    for content in ("[1]", "{}", '{"a": 1}', '{"crc": true}', '{"a": 1, "crc": 5}'):
        path.write_text(content)
        with pytest.raises(InputError, match="checksum"):
            read_sealed(path)


# --- journals -----------------------------------------------------------------------------------------------


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A journal of two rows."""
    for row in ROWS:
        append_row(tmp_path / "rows.jsonl", row)
    return tmp_path / "rows.jsonl"


def test_rows_come_back(journal):
    """Bit-identical, however they were written; and there are none where there is no file."""
    assert read_journal(journal, FIELDS) == ROWS
    data = journal.read_bytes()
    write_journal(journal, ROWS)
    assert journal.read_bytes() == data and leftovers(journal.parent) == []
    assert read_journal(journal.with_name("none.jsonl"), FIELDS) == []


def test_a_journal_cut_anywhere(journal):
    """Whole rows stay, the one that was cut is forgotten."""
    data = journal.read_bytes()
    first = data.index(b"\n") + 1
    for length in range(len(data)):
        journal.write_bytes(data[:length])
        assert read_journal(journal, FIELDS) == (ROWS[:1] if length >= first else [])


def test_a_damaged_row_is_named(journal):
    """Every flipped bit of the first row is found, also that of its newline."""
    data = journal.read_bytes()
    for position in range(data.index(b"\n") + 1):
        for bit in range(8):
            journal.write_bytes(data[:position] + bytes([data[position] ^ 1 << bit]) + data[position + 1 :])
            try:
                assert read_journal(journal, FIELDS) == ROWS
            except InputError as error:
                assert "row 1 is damaged" in str(error) or "row 2 is damaged" in str(error)


@pytest.mark.parametrize("row", [{}, {"generation": 1.0, "fitness": []}, {"generation": True, "fitness": []}])
def test_rows_of_another_kind(tmp_path, row):
    """A field that is missing or of another type is refused, however well it is sealed."""
    append_row(tmp_path / "rows.jsonl", row)
    with pytest.raises(InputError, match=r"row 1 is damaged \((generation|fitness) is .*\); again"):
        read_journal(tmp_path / "rows.jsonl", FIELDS, "again")
    (tmp_path / "rows.jsonl").write_bytes(b"[" * 100_000 + b"\n")
    with pytest.raises(InputError, match="row 1 is damaged"):
        read_journal(tmp_path / "rows.jsonl", FIELDS)


# --- disks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o002, 0o664), (0o022, 0o644)])
def test_files_follow_the_umask(tmp_path, umask, mode):
    """Private where the user is, open to the group where a group works in one folder."""
    before = os.umask(umask)
    try:
        atomic_write(tmp_path / "a", b"one")
        atomic_write(tmp_path / "a", b"two")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == mode
    assert [path.name for path in tmp_path.iterdir()] == ["a"] and (tmp_path / "a").read_bytes() == b"two"


def trouble(name: str, *path: str) -> str | None:
    """What is said of an error of the system."""
    number = getattr(errno, name)
    return disk_trouble(OSError(number, os.strerror(number), *path))


@pytest.mark.parametrize("name", ["ENOSPC", "EROFS", "EACCES", "EMFILE", "ENOLCK", "ENOTDIR", "ENAMETOOLONG"])
def test_every_trouble_of_the_system_has_a_line(name):
    """Permissions, limits, locks, names: what, where, and what to do."""
    line = trouble(name, "runs/x")
    assert line.startswith(f"runs/x: {os.strerror(getattr(errno, name))}; ") and "\n" not in line


def test_trouble_of_the_system_is_told_from_defects():
    """A full disk loses nothing; a line needs no file's name; a missing file is a defect of the program."""
    after = "No space left on device; what was written before is safe, and the same command goes on from there"
    assert trouble("ENOSPC", "runs/x") == f"runs/x: {after}"
    assert trouble("EROFS").startswith("Read-only file system; ")
    assert trouble("ENOENT", "runs/x") is trouble("EBADF") is None


@pytest.fixture
def mounted(tmp_path: Path):
    """Mounts a small disk in memory; skips where that is not allowed."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(options: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode:
            pytest.skip("mounting a small disk needs more rights than these tests have")
        return place

    yield mount
    subprocess.run(["umount", "-l", str(place)], capture_output=True)


def test_a_full_disk(mounted):
    """A write that does not fit leaves what was there, no half-written file, and no traceback."""
    disk = mounted("size=256k")
    append_row(disk / "rows.jsonl", ROWS[0])
    atomic_write(disk / "a.bin", b"old")
    with pytest.raises(OSError, match="No space left") as caught:
        atomic_write(disk / "a.bin", b"x" * 1_000_000)
    assert caught.value.filename == str(disk / "a.bin")
    assert (disk / "a.bin").read_bytes() == b"old" and leftovers(disk) == []
    with pytest.raises(OSError, match="No space left"):
        append_row(disk / "rows.jsonl", {"generation": 2, "fitness": ["x" * 1_000_000]})
    assert read_journal(disk / "rows.jsonl", FIELDS) == ROWS[:1]


def test_a_read_only_run_folder(mounted):
    """One line and exit code 2, before anything is played."""
    disk = mounted("size=256k,ro")
    command = python("collect_rollouts.py", "doomrnn", "--run", disk / "run", "--preset", "smoke")
    done = run(command, seconds=60)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.count("\n") == 1 and "Read-only file system" in done.stderr
