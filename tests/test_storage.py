"""Files that can be trusted: written whole or not at all, and read with everything doubted."""

import io
import json
import math
import os
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from samples import OnlyM, leftovers, make_episode, numbered_frames

from experiment.errors import InputError
from experiment.files import atomic_write, read_json, seal, write_json, write_sealed
from experiment.npz import ArraySpec, npz_bytes, read_npz, write_npz
from experiment.runs import load_run
from rnn.config import RNNConfig
from rnn.series import load_initial, read_shard
from vae.episodes import Episode, episode_bytes, episode_length, read_episode

SPECS = {"a": ArraySpec("float32", ("n", 3)), "b": ArraySpec("int64", ("n",))}
ARRAYS = {"a": np.arange(12, dtype=np.float32).reshape(4, 3), "b": np.arange(4)}
GOOD = npz_bytes(ARRAYS)
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LITTLE = 3_000_000  # bytes; the arrays of these tests are far smaller


def refusal(path: Path, specs: dict[str, ArraySpec] = SPECS) -> str:
    """The line with which a file is refused."""
    with pytest.raises(InputError) as caught:
        read_npz(path, specs, "make it again")
    line = str(caught.value)
    assert "\n" not in line and str(path) in line and line.endswith("make it again")
    return line


def refused_or_unharmed(path: Path) -> None:
    """A damaged file is refused in one line, or what was damaged did not matter; either way little is allocated."""
    tracemalloc.start()
    try:
        read = read_npz(path, SPECS, "make it again")
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert all(np.array_equal(read[name], ARRAYS[name]) for name in ARRAYS)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < LITTLE


def npy(descr: str, shape: object, data: bytes, order: str = "False") -> bytes:
    """An `.npy` with this header, true or not."""
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def path(tmp_path):
    """Where the tests write their file."""
    return tmp_path / "file.npz"


# --- writing ------------------------------------------------------------------------------------------------


def test_arrays_come_back_as_written(path):
    """Names, types, shapes and values survive, and NumPy itself reads the file."""
    write_npz(path, ARRAYS)
    read = read_npz(path, SPECS)
    with np.load(path, allow_pickle=False) as loaded:
        for name, array in ARRAYS.items():
            assert np.array_equal(read[name], array) and read[name].dtype == array.dtype
            assert np.array_equal(loaded[name], array)
    read["a"][0] = 5  # and may be changed


def test_shapes_without_axes_and_other_orders(path):
    """A single number stays one, an empty array empty, and a transposed one is itself."""
    arrays = {"a": np.float32(2.5), "b": np.zeros((0, 3), np.int64), "c": np.arange(6.0).reshape(2, 3).T}
    specs = {"a": ArraySpec("float32", ()), "b": ArraySpec("int64", (0, 3)), "c": ArraySpec("float64", (3, 2))}
    write_npz(path, {name: np.asarray(array) for name, array in arrays.items()})
    for name, array in read_npz(path, specs).items():
        assert np.array_equal(array, arrays[name]) and array.shape == np.shape(arrays[name])


def test_equal_arrays_give_equal_files():
    """Nothing of the time or the machine is in a file."""
    assert npz_bytes({key: array.copy() for key, array in ARRAYS.items()}) == GOOD


@pytest.mark.parametrize("name", ["replace", "fsync"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_fails_changes_nothing(path, monkeypatch, name, error):
    """The old file stays as it was, and no temporary one is left."""
    atomic_write(path, b"old")

    def fail(*unused):
        raise error

    monkeypatch.setattr(os, name, fail)
    with pytest.raises(type(error)):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert leftovers(path.parent) == [] and len(list(path.parent.iterdir())) == 1


def test_json_comes_back_and_has_no_nan(path):
    """A value that is no number is refused before anything is written."""
    write_json(path, {"a": [1, 2.5, None]})
    assert read_json(path) == {"a": [1, 2.5, None]}
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"a": float("nan")})
    assert read_json(path) == {"a": [1, 2.5, None]} and leftovers(path.parent) == []


# --- reading what is not what it should be ------------------------------------------------------------------


def test_a_missing_file_and_a_folder(path):
    """Said so, with what to do."""
    assert "not there" in refusal(path)
    path.mkdir()
    refusal(path)


def test_truncated_at_every_byte(path):
    """A file cut anywhere is refused."""
    for length in range(len(GOOD)):
        path.write_bytes(GOOD[:length])
        refusal(path)


def test_every_byte_damaged(path):
    """A wrong byte anywhere is noticed, unless it is one that says nothing about the arrays."""
    for position in range(len(GOOD)):
        for value in {GOOD[position] ^ 1, GOOD[position] ^ 0x80, 0, 0xFF, 12, 14} - {GOOD[position]}:
            path.write_bytes(GOOD[:position] + bytes([value]) + GOOD[position + 1 :])
            refused_or_unharmed(path)


@FEW
@given(
    edits=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.binary(min_size=1, max_size=8)), max_size=6),
    length=st.integers(0, len(GOOD)),
    tail=st.binary(max_size=40),
)
def test_fuzzed_files(path, edits, length, tail):
    """Whatever is done to a file, it is read right or refused in one line."""
    data = bytearray(GOOD)
    for position, words in edits:
        data[position : position + len(words)] = words
    path.write_bytes(bytes(data[:length]) + tail if length < len(GOOD) else bytes(data) + tail)
    refused_or_unharmed(path)


@FEW
@given(header=st.binary(max_size=200) | st.text("{}'(),:0123456789[]-+*descrfortan_oshp TFuel<>|iO", max_size=200))
def test_fuzzed_headers(path, header):
    """An array whose header is nonsense is refused, inside an archive that is in order."""
    words = header if isinstance(header, bytes) else header.encode()
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(words)) + words
    path.write_bytes(archive({"a.npy": member, "b.npy": member}))
    refused_or_unharmed(path)


@pytest.mark.parametrize(
    "header", ["(" * 30_000, "[" * 60_000, "-" * 60_000 + "1", "1+" * 30_000 + "1", "{1:" * 20_000, "9" * 60_000]
)
def test_headers_that_would_exhaust_a_parser(path, header):
    """A header nested a thousand times over neither crashes the process nor is believed."""
    words = header.encode()
    member = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(words)) + words
    path.write_bytes(archive({"a.npy": member, "b.npy": member}))
    refusal(path)


def test_pickles_are_never_loaded(path):
    """Neither an object array, nor a bare pickle, nor one beside a good header runs any code."""

    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(path.parent / "trapped"),))

    objects = {"a": np.array([Trap()], object), "b": ARRAYS["b"]}
    np.savez(path, **objects)
    assert "pickled" in refusal(path)
    path.write_bytes(pickle.dumps(Trap()))
    refusal(path)
    hidden = npy("'|O'", "(4, 3)", pickle.dumps(Trap()))
    path.write_bytes(archive({"a.npy": hidden, "b.npy": npy("'<i8'", "(4,)", b"")}))
    assert "pickled" in refusal(path)
    path.write_bytes(archive({"a.pkl": pickle.dumps(Trap())}))
    refusal(path)
    assert not (path.parent / "trapped").exists()


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({**ARRAYS, "a": ARRAYS["a"].astype(np.float64)}, "a has dtype float64, not float32"),
        ({**ARRAYS, "a": ARRAYS["a"].astype(">f4")}, "a has dtype >f4, not float32"),
        ({**ARRAYS, "a": ARRAYS["a"][:, :2]}, "a has shape (4, 2), not (n, 3)"),
        ({**ARRAYS, "a": ARRAYS["a"].ravel()}, "a has shape (12,), not (n, 3)"),
        ({**ARRAYS, "b": np.arange(5)}, "b has shape (5,), not (n)"),
        ({"a": ARRAYS["a"]}, "holds a.npy, not a.npy, b.npy"),
        ({**ARRAYS, "c": ARRAYS["b"]}, "holds a.npy, b.npy, c.npy"),
        ({}, "holds nothing"),
    ],
)
def test_other_arrays_than_wanted(path, arrays, words):
    """Name, type and shape are told as found and as wanted."""
    write_npz(path, arrays)
    assert words in refusal(path)


@pytest.mark.parametrize(
    ("descr", "shape", "order"),
    [
        ("'<f4'", "(400000000, 3)", "False"),
        ("'<f4'", "(4, 3, 2)", "False"),
        ("'<f4'", "(-4, -3)", "False"),
        ("'<f4'", "(True, 3)", "False"),
        ("'<f4'", "(4.0, 3)", "False"),
        ("'<f4'", "[4, 3]", "False"),
        ("'<f4'", "(4, 3)", "True"),
        ("'<f4,<f4'", "(4, 3)", "False"),
        ("'nonsense'", "(4, 3)", "False"),
        ("[('x', '<f4')]", "(4, 3)", "False"),
        ("'<f4'", "(4, 3), 'more': 1", "False"),
        ("'<f4'", "__import__('os').getpid()", "False"),
    ],
)
def test_headers_that_lie(path, descr, shape, order):
    """A header that promises something else than the file holds is not believed, and nothing is allocated for it."""
    path.write_bytes(archive({"a.npy": npy(descr, shape, bytes(48), order), "b.npy": npy("'<i8'", "(4,)", bytes(32))}))
    tracemalloc.start()
    refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LITTLE


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_directory_that_lies_too(path, method):
    """A gigabyte promised by the archive's own directory is not allocated for a file of a few hundred bytes."""
    rows, size = 100_000_000, 100_000_000 * 3 * 4
    member = npy("'<f4'", f"({rows}, 3)", bytes(48))
    promised = len(member) - 48 + size
    data = bytearray(archive({"a.npy": member, "b.npy": npy("'<i8'", "(4,)", bytes(32))}, method))
    local, central = data.index(b"PK\x03\x04"), data.index(b"PK\x01\x02")
    for at in (local + 22, central + 24):
        data[at : at + 4] = struct.pack("<I", promised)
    if method == zipfile.ZIP_STORED:
        for at in (local + 18, central + 20):
            data[at : at + 4] = struct.pack("<I", promised)
    path.write_bytes(bytes(data))
    tracemalloc.start()
    refusal(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < LITTLE


# --- episodes, series and JSON ------------------------------------------------------------------------------


def test_an_episode_comes_back(path):
    """All five arrays, and the length from the header alone."""
    episode = make_episode(numbered_frames(1, 7), np.random.default_rng(0))
    path.write_bytes(episode_bytes(episode))
    read = read_episode(path, 1)
    assert all(np.array_equal(getattr(read, key), value) for key, value in vars(episode).items())
    assert len(read) == episode_length(path) == 7


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"action": np.full((7, 1), np.nan, np.float32)}, "action holds NaN or infinity at (0, 0)"),
        ({"reward": np.array([1, 1, 1, np.inf, 1, 1, 1], np.float32)}, "reward holds NaN or infinity at (3,)"),
        ({"obs": np.zeros((6, 64, 64, 3), np.uint8)}, "has shape"),
        ({"obs": np.zeros((7, 64, 64), np.uint8)}, "obs has shape"),
        ({"action": np.zeros((7, 3), np.float32)}, "action has shape (7, 3), not (T, 1)"),
    ],
)
def test_episodes_that_do_not_fit(path, change, words):
    """A wrong shape or a NaN is refused with its place."""
    episode = make_episode(numbered_frames(1, 7), np.random.default_rng(0))
    path.write_bytes(episode_bytes(Episode(**(vars(episode) | change))))
    with pytest.raises(InputError) as caught:
        read_episode(path, 1)
    assert words in str(caught.value) and "collect_rollouts.py" in str(caught.value)


def test_an_empty_episode(path):
    """No frames are no episode, neither in the header nor in the reading."""
    none = make_episode(numbered_frames(0, 0), np.random.default_rng(0))
    path.write_bytes(episode_bytes(none))
    for read in (lambda: episode_length(path), lambda: read_episode(path, 1)):
        with pytest.raises(InputError, match=r"without frames|not \(T, 64, 64, 3\)"):
            read()


def test_series_that_do_not_add_up(path):
    """Lengths that do not sum to the frames, a NaN among the latents, no first frames."""
    arrays = {
        "mu": np.zeros((5, 2), np.float16),
        "logvar": np.zeros((5, 2), np.float16),
        "action": np.zeros((5, 1), np.float32),
        "reward": np.ones(5, np.float32),
        "terminated": np.zeros(5, bool),
        "lengths": np.array([2, 3]),
        "held_out": np.array([False, True]),
    }
    write_npz(path, arrays)
    assert [(len(s), s.held_out) for s in read_shard(path, 2, 1)] == [(2, False), (3, True)]
    for change, words in (
        ({"lengths": np.array([2, 2])}, "do not add up"),
        ({"lengths": np.array([5, 0])}, "do not add up"),
        ({"lengths": np.array([6, -1])}, "do not add up"),
        ({"mu": np.full((5, 2), np.nan, np.float16)}, "mu holds NaN"),
        ({"reward": np.full(5, np.inf, np.float32)}, "reward holds NaN"),
    ):
        write_npz(path, arrays | change)
        with pytest.raises(InputError, match=words):
            read_shard(path, 2, 1)
    none = np.zeros((0, 2), np.float32)
    write_npz(path.parent / "initial_z.npz", {"mu": none, "logvar": none})
    with pytest.raises(InputError, match="no first frames"):
        load_initial(path.parent, 2)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 10_000, b'{"a": \x00}'])
def test_json_that_is_none(path, data):
    """Refused in one line that says what to do."""
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_json(path, "make it again")
    assert "\n" not in str(caught.value) and str(caught.value).endswith("; make it again")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("seed", [-1, 1.5, "one", None, [], True])
def test_a_configuration_whose_seed_is_none(tmp_path, seed):
    """A seed is a whole number from 0 on, and none is made up."""
    config = {"task": "doomrnn", "preset": "paper", "seed": seed, "stages": {"rnn": vars(RNNConfig())}}
    write_sealed(tmp_path / "config.json", config)
    with pytest.raises(InputError, match="not a run's configuration"):
        load_run(tmp_path, OnlyM())


@FEW
@given(place=st.sampled_from(["", "task", "seed", "stages", "stages.rnn", "stages.rnn.epochs"]), value=JSON)
@example(place="stages.rnn.epochs", value=10**400)
def test_fuzzed_configurations(tmp_path, place, value):
    """A run's configuration is read right or refused in one line."""
    config: Any = {"task": "doomrnn", "preset": "paper", "seed": 0, "stages": {"rnn": dict(vars(RNNConfig()))}}
    *parents, last = place.split(".")
    within = config
    for name in parents:
        within = within[name]
    within[last] = value
    content = config if place else value
    sealed = seal(content) if isinstance(content, dict) else content
    (tmp_path / "config.json").write_text(json.dumps(sealed))
    try:
        run = load_run(tmp_path, OnlyM())
    except InputError as error:
        assert "\n" not in str(error)
    else:
        assert isinstance(run.stages.rnn, RNNConfig) and math.isfinite(run.stages.rnn.epochs) and run.seed >= 0
