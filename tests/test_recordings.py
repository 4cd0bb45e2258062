"""Episodes recorded elsewhere: what other projects write becomes ours, and what does not fit is named."""

import shutil
import zipfile

import numpy as np
import pytest
from commands import assert_refused
from samples import striped_frames

import vae.recordings
from experiment.errors import InputError
from experiment.files import write_sealed
from vae.episodes import list_episodes, read_episode
from vae.recordings import read_recording

RNG = np.random.default_rng(0)


def authors(path, length: int, action_size: int) -> dict[str, np.ndarray]:
    """As the paper's authors record (`extract.py`): frames and float16 actions, Doom's without an axis."""
    obs = striped_frames(RNG, length)
    action = RNG.uniform(-1, 1, (length, action_size)).astype(np.float16)
    arrays = {"obs": obs, "action": action[:, 0] if action_size == 1 else action}
    np.savez_compressed(path, **arrays)
    return arrays


def pytorch(path, length: int) -> dict[str, np.ndarray]:
    """As a PyTorch reproduction does: 96x96 frames after each step, with rewards and terminals."""
    frames = np.repeat(striped_frames(RNG, length)[:, :, :, :], 2, axis=1)[:, :96, :, :]
    arrays = {
        "observations": np.pad(frames, ((0, 0), (0, 0), (16, 16), (0, 0)), mode="edge"),
        "rewards": RNG.normal(size=length),
        "actions": RNG.uniform(0, 1, (length, 3)),
        "terminals": np.arange(length) == length - 1,
    }
    np.savez(path, **arrays)
    return arrays


@pytest.mark.parametrize("action_size", [1, 3])
def test_the_authors_recordings(tmp_path, action_size):
    """Frame and action stay together; without an end it is an episode that was cut."""
    arrays = authors(tmp_path / "a.npz", 5, action_size)
    episode = read_recording(tmp_path / "a.npz", action_size)
    assert np.array_equal(episode.obs, arrays["obs"]) and episode.action.dtype == np.float32
    assert np.array_equal(episode.action, arrays["action"].reshape(5, action_size).astype(np.float32))
    assert episode.truncated.tolist() == [False] * 4 + [True] and not episode.terminated.any()
    assert not episode.reward.any() and episode.reward.dtype == np.float32


def test_a_pytorch_projects_recordings(tmp_path):
    """Larger frames are averaged, and a frame is paired with the action that was taken on it: the next one."""
    arrays = pytorch(tmp_path / "rollout_0.npz", 6)
    with pytest.raises(InputError, match="frames must be 64x64, not 96x96; --resize averages"):
        read_recording(tmp_path / "rollout_0.npz", 3)
    episode = read_recording(tmp_path / "rollout_0.npz", 3, resize=True, frame_first=False)
    assert episode.obs.shape == (5, 64, 64, 3)
    assert np.array_equal(episode.action, arrays["actions"][1:].astype(np.float32))
    assert np.array_equal(episode.reward, arrays["rewards"][1:].astype(np.float32))
    assert episode.terminated.tolist() == [False] * 4 + [True] and not episode.truncated.any()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"obs": None}, "and no obs or observations"),
        ({"action": None}, "and no action or actions"),
        ({"obs": np.zeros((4, 64, 64, 3), np.float32)}, r"uint8 \[T, 64, 64, 3\], not float32"),
        ({"obs": np.zeros((4, 3, 64, 64), np.uint8)}, r"not uint8 \[4, 3, 64, 64\]"),
        ({"obs": np.zeros((4, 32, 32, 3), np.uint8)}, "64x64, not 32x32$"),
        ({"obs": np.array([{}], object)}, "not an episode"),
        ({"action": np.zeros((4, 3))}, r"numbers \[T, 1\], not float64 \[4, 3\]"),
        ({"action": np.full(4, 1.5)}, r"must be in \[-1, 1\]"),
        ({"action": np.full(4, np.nan)}, r"must be in \[-1, 1\]"),
        ({"action": np.zeros(3)}, "4 frames and 3 actions"),
        ({"reward": np.zeros(3)}, "reward must be 4 numbers"),
        ({"reward": np.array([0, 0, 1e39, 0])}, r"reward must be 4 numbers that float32 can hold; one is 1e\+39"),
        ({"reward": np.array([0, np.nan, 0, 0])}, "one is nan"),
        ({"done": np.array([0, 1, 0, 1])}, "ended before its last step"),
        ({"done": np.zeros(4), "truncated": np.array([0, 1, 0, 1])}, "ended before its last step"),
        ({"obs": np.zeros((1, 64, 64, 3), np.uint8), "action": np.zeros(1)}, "of 1 steps"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, said):
    """In one line, with the file."""
    arrays = {"obs": np.zeros((4, 64, 64, 3), np.uint8), "action": np.zeros(4)} | change
    np.savez(tmp_path / "a.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=said) as refusal:
        read_recording(tmp_path / "a.npz", 1)
    assert str(tmp_path / "a.npz") in str(refusal.value) and "\n" not in str(refusal.value)


def test_files_that_are_none(tmp_path):
    """Text, a single array, half an archive, an array whose header is cut."""
    authors(tmp_path / "cut.npz", 3, 1)
    (tmp_path / "cut.npz").write_bytes((tmp_path / "cut.npz").read_bytes()[:200])
    (tmp_path / "text.npz").write_text("no archive")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with zipfile.ZipFile(tmp_path / "header.npz", "w") as archive:
        for name in ("obs.npy", "action.npy"):
            archive.writestr(name, b"\x93NUMPY\1\0\x12\0{'descr': '<f8', (")
    for name in ("cut.npz", "text.npz", "one.npy", "missing.npz", "header.npz"):
        with pytest.raises(InputError, match="not an episode"):
            read_recording(tmp_path / name, 1)


def test_arrays_larger_than_any_episode(tmp_path, monkeypatch):
    """Neither a bomb of the packer nor a header that promises too much is unpacked."""
    np.savez_compressed(tmp_path / "bomb.npz", obs=np.zeros((200, 64, 64, 3), np.uint8), action=np.zeros(200))
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (9000000000, 64, 64, 3)}".ljust(117) + "\n"
    with zipfile.ZipFile(tmp_path / "header.npz", "w") as archive:
        archive.writestr("obs.npy", b"\x93NUMPY\1\0\x76\0" + header.encode())
        archive.writestr("action.npy", b"")
    monkeypatch.setattr(vae.recordings, "LARGEST_ARRAY", 1_000_000)
    for name, said in (("bomb.npz", "obs says that it holds 2,457,728 bytes"), ("header.npz", "not an episode")):
        with pytest.raises(InputError, match=said):
            read_recording(tmp_path / name, 1)


def flagged(path, offset: int, value: int) -> None:
    """Set two bytes of every entry of an archive, at this offset in its header and two more in the directory."""
    data = bytearray(path.read_bytes())
    for mark, place in ((b"PK\3\4", offset), (b"PK\1\2", offset + 2)):
        at = data.find(mark)
        while at >= 0:
            data[at + place : at + place + 2] = value.to_bytes(2, "little")
            at = data.find(mark, at + 4)
    path.write_bytes(data)


@pytest.mark.parametrize(("offset", "value", "said"), [(6, 1, "encrypted"), (8, 97, "compression")])
def test_archives_that_python_does_not_read(tmp_path, offset, value, said):
    """Encrypted, or compressed as no zip of ours: one line."""
    authors(tmp_path / "a.npz", 3, 1)
    flagged(tmp_path / "a.npz", offset, value)
    with pytest.raises(InputError, match=f"a.npz: not an episode .*{said}"):
        read_recording(tmp_path / "a.npz", 1)


def test_an_import_killed_at_its_end_is_taken_up_again(tmp_path, inside, monkeypatch):
    """Over its own episodes, which collecting does not take for its attempts; over collected ones it is refused."""
    from experiment import stages

    source, run = tmp_path / "source", tmp_path / "run"
    source.mkdir()
    for number in range(3):
        authors(source / f"{number}.npz", 40, 1)
    words = ("doomrnn", "--run", run, "--preset", "smoke")
    bring = ("import_episodes.py", *words, "--source", source)
    with monkeypatch.context() as patch:
        patch.setattr(stages, "finish", lambda *unused: 1 / 0)  # all is written, and the stage not yet finished
        with pytest.raises(ZeroDivisionError):
            inside(*bring)
    files = {path.name: path.read_bytes() for path in list_episodes(run / "rollouts")}
    assert len(files) == 3 and not (run / "rollouts" / "done.json").exists()
    assert_refused(inside("collect_rollouts.py", *words), 2, "rollouts: recordings are being imported there")
    assert_refused(inside("train_vae.py", *words), 2, "not finished")
    done = inside(*bring)
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in list_episodes(run / "rollouts")} == files
    again = inside("collect_rollouts.py", *words)
    assert again.returncode == 0 and "already finished" in again.stdout
    for name in ("done.json", "manifest.json"):
        (run / "rollouts" / name).unlink()
    write_sealed(run / "rollouts" / "begun.json", {"collect": {}})  # as one that was begun by collecting
    assert_refused(inside(*bring), 2, "collecting has begun there")


def test_v_and_m_are_trained_on_them(tmp_path, inside):
    """Imported, and on through V, the series and M; a file that does not fit leaves nothing behind."""
    source, run = tmp_path / "source", tmp_path / "run"
    source.mkdir()
    for number in range(3):
        authors(source / f"{number}.npz", 40, 1)
    (source / "3.npz").write_text("no archive")
    words = ("import_episodes.py", "doomrnn", "--source", source, "--run", run, "--preset", "smoke")
    done = inside(*words)
    assert done.returncode == 2 and "3.npz: not an episode" in done.stderr and not run.exists()
    (source / "3.npz").unlink()
    done = inside(*words)
    assert done.returncode == 0, done.stderr
    episodes = [read_episode(path, 1) for path in list_episodes(run / "rollouts")]
    assert [len(episode) for episode in episodes] == [40, 40, 40]
    for script in ("train_vae.py", "encode_series.py", "train_rnn.py"):
        done = inside(script, "doomrnn", "--run", run)
        assert done.returncode == 0, done.stderr
    assert (run / "rnn" / "weights.npz").exists()


def recording(path, steps: int, action: float) -> None:
    """An episode of another program."""
    frames = striped_frames(np.random.default_rng(0), steps)
    np.savez(path, obs=frames, action=np.full((steps, 1), action))


def test_recordings_do_not_mix(tmp_path, inside):
    """What is left of an import that was stopped is not kept; an import into collected episodes is refused."""
    source, folder = tmp_path / "source", tmp_path / "run"
    source.mkdir()
    for number in range(2):
        recording(source / f"{number}.npz", 3, 0.5)
    (source / "._0.npz").write_bytes(b"\0\5\x16\7")
    words = ("import_episodes.py", "doomrnn", "--source", source, "--run", folder, "--preset", "smoke")
    (folder / "rollouts").mkdir(parents=True)
    (folder / "rollouts" / "episode-000007.npz").write_bytes(b"of another source")
    done = inside(*words)
    assert done.returncode == 0, done.stderr
    assert [read_episode(path, 1).action[0, 0] for path in list_episodes(folder / "rollouts")] == [0.5, 0.5]
    shutil.rmtree(folder)
    (folder / "rollouts").mkdir(parents=True)
    (folder / "rollouts" / "attempts.jsonl").write_text('{"attempt": 0}\n')
    done = inside(*words)
    assert done.returncode == 2 and "collecting has begun there" in done.stderr
    assert not list((folder / "rollouts").glob("episode-*"))


def test_recordings_are_held_to_the_tasks_range(tmp_path):
    """The pendulum's torques reach 2; a brake is not negative."""
    from carracing.task import TASK as CARRACING
    from pendulum.task import TASK as PENDULUM

    recording(tmp_path / "a.npz", 3, -2.0)
    assert read_recording(tmp_path / "a.npz", 1, bounds=PENDULUM.bounds).action.tolist() == [[-2.0]] * 3
    with pytest.raises(InputError, match=r"actions must be in \[-1, 1\], as"):
        read_recording(tmp_path / "a.npz", 1)
    frames = striped_frames(np.random.default_rng(0), 3)
    np.savez(tmp_path / "b.npz", obs=frames, action=np.full((3, 3), -0.5))
    with pytest.raises(InputError, match=r"actions must be in \[-1, 1\], \[0, 1\], as"):
        read_recording(tmp_path / "b.npz", 3, bounds=CARRACING.bounds)
