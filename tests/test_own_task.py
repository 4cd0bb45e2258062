"""A task of one's own: any Gymnasium environment through the adapter, and every command on one of a few lines."""

import re

import gymnasium
import numpy as np
import pytest
from commands import ROOT, assert_refused, ranked, run

from controller.default_presets import default_presets
from controller.gymnasium_task import gymnasium_task
from controller.task import Task
from experiment.errors import InputError
from rollouts.gymnasium_games import GymnasiumGames, action_size, to_space
from rollouts.scripted import BoxScript

TASK = """
from controller.gymnasium_task import gymnasium_task

TASK = gymnasium_task("CartPole-v1", crop=lambda frame: frame[150:350, 150:450], ends=True, pays=False)
"""


class Unbounded(gymnasium.Env):
    """Acts in a box without ends."""

    render_mode = "rgb_array"
    action_space = gymnasium.spaces.Box(-np.inf, np.inf, (1,))


class Shown(gymnasium.Env):
    """Renders what it was made with."""

    render_mode = "rgb_array"
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, frame):
        self.frame = frame

    def reset(self, *, seed=None, options=None):
        """Begin."""
        super().reset(seed=seed)
        return 0, {}

    def render(self):
        """Return the frame, or raise the error in its place."""
        if isinstance(self.frame, Exception):
            raise self.frame
        return self.frame


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a task in it, as the current one."""
    (tmp_path / "polecart.py").write_text(TASK)
    (tmp_path / "wrong.py").write_text("TASK = 3\nraise_it = 1 / 0\n")
    (tmp_path / "number.py").write_text("TASK = 3\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_command(here, inside):
    """From collecting to the report and to the next iteration, on a task of one statement."""
    words = ("polecart:TASK", "--run", "one")
    for command in (
        ("collect_rollouts.py", *words, "--preset", "smoke"),
        ("train_vae.py", *words),
        ("encode_series.py", *words),
        ("train_rnn.py", *words),
        ("train_controller.py", *words),
        ("evaluate.py", *words, "--policy", "agent", "random", "stay", "--world", "real", "dream", "--episodes", 2),
        ("report.py", "--run", "one"),
        ("iterate.py", *words, "--to", "two", "--set", "iterate.vae_epochs=0"),
        ("encode_series.py", "polecart:TASK", "--run", "two"),
    ):
        done = inside(*command)
        assert done.returncode == 0, f"{command}:\n{done.stdout}\n{done.stderr}"
    assert {path.name for path in (here / "one" / "evaluation").iterdir()} == {
        f"{world}-{who}-seed0-n2.json"
        for world, tau in (("real", ""), ("dream", "-tau1.00"))
        for who in (f"dream-zh-tau1.00-s0{tau}", f"random{tau}", f"stay{tau}")
    }
    assert "reconstructions" in (here / "one/report/index.html").read_text() and list(
        (here / "one/report").glob("*.mp4")
    )
    assert list((here / "two/series").glob("series-*.npz"))


def test_other_ranks_know_it(here):
    """Under mpirun each rank loads the module."""
    words = ("polecart:TASK", "--run", "two", "--preset", "smoke")
    done = run(ranked(2, "collect_rollouts.py", *words))
    assert done.returncode == 0 and len(list((here / "two/rollouts").glob("episode-*.npz"))) == 6, done.stderr


def test_help_lists_its_settings(here, inside):
    """As for the tasks of the project."""
    done = inside("collect_rollouts.py", "polecart:TASK", "--help")
    assert done.returncode == 0 and "settings of polecart:TASK" in done.stdout
    assert "env.time_limit" in done.stdout and " 500 " in done.stdout  # Gymnasium's own limit of CartPole-v1


@pytest.mark.parametrize(
    ("task", "says"),
    [
        ("nowhere:TASK", "No module named 'nowhere'"),
        ("polecart:ROLE", "ROLE"),
        ("wrong:TASK", "ZeroDivisionError"),
        ("number:TASK", "is a int, and must be a controller.task.Task"),
        ("cart pole", "module:attribute"),
    ],
)
def test_what_is_no_task_is_refused(here, inside, task, says):
    """One line, before anything is made."""
    assert_refused(inside("collect_rollouts.py", task, "--run", "one", "--preset", "smoke"), 2, says)
    assert not (here / "one").exists()


def test_environments_that_do_not_fit_are_refused():
    """One line that says what is missing."""
    with pytest.raises(InputError, match="NoSuch"):
        gymnasium_task("NoSuchEnvironment-v0")
    with pytest.raises(InputError, match="'rgb_array'"):
        gymnasium_task(lambda: gymnasium.make("CartPole-v1"))
    with pytest.raises(InputError, match="Discrete or a bounded Box"):
        gymnasium_task(Unbounded)
    with pytest.raises(InputError, match=r"crop, of a frame uint8 \[400, 600, 3\], returns uint8 \[0, 600, 3\]"):
        gymnasium_task("CartPole-v1", crop=lambda frame: frame[500:])
    with pytest.raises(InputError, match="'paper'"):
        Task(games=None, action_size=1, presets={})
    with pytest.raises(InputError, match="do not bound"):
        Task(games=None, action_size=2, low=(1.0, -1.0), high=1.0)


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (np.zeros((64, 64, 3), np.float32), r"its render\(\) returns float32 \[64, 64, 3\], and must return uint8"),
        (np.zeros((64, 64, 4), np.uint8), r"returns uint8 \[64, 64, 4\], and must"),
        (np.zeros((64, 64), np.uint8), r"returns uint8 \[64, 64\], and must"),
        (None, "returns NoneType None, and must"),
        (RuntimeError("no display"), r"cannot be reset and rendered \(no display\)"),
    ],
)
def test_frames_that_do_not_fit_are_refused(frame, said):
    """Before anything is collected, and what came is said."""
    with pytest.raises(InputError, match=said) as refusal:
        gymnasium_task(lambda: Shown(frame))
    assert "\n" not in str(refusal.value)
    assert gymnasium_task(lambda: Shown(np.zeros((70, 90, 3), np.uint8))).action_size == 2


def test_actions_by_hand():
    """A choice is the largest number's, from the space's first on; a box is cut to its range and shape."""
    assert to_space(np.float32([-0.2, 0.9, 0.1]), gymnasium.spaces.Discrete(3, start=4)) == 5
    box = gymnasium.spaces.Box(-2.0, 2.0, (1, 2), np.float32)
    assert to_space(np.float32([3.0, -1.0]), box).tolist() == [[2.0, -1.0]] and action_size(box) == 2
    whole = gymnasium.spaces.Box(0, 3, (3,), np.int64)
    assert to_space(np.float32([2.6, -1.0, 0.4]), whole).tolist() == [3, 0, 0]


def test_games_are_the_environments():
    """The same states, rewards and ends as the environment alone; truncation is the task's own limit."""
    task = gymnasium_task("CartPole-v1")
    games, alone = task.games(2, task.presets["smoke"].stages.env, False), gymnasium.make("CartPole-v1")
    assert (
        isinstance(games, GymnasiumGames)
        and task.action_size == 2
        and task.presets["paper"].stages.env.time_limit == 500
    )
    assert games.reset(1, 5).shape == (64, 64, 3)
    alone.reset(seed=5)
    for step in range(40):
        left = step % 3 == 0
        steps = games.step([1], np.float32([[1, -1] if left else [-1, 1]]))
        _, reward, terminated, _, _ = alone.step(0 if left else 1)
        assert (steps.rewards[0], steps.terminated[0]) == (reward, terminated)
        assert steps.truncated[0] == (step == 39 and not terminated)
        if terminated:
            break
    games.close()


def test_defaults_fit_the_actions():
    """Scripts, squashing and the presets of a task that names its environment and its range only."""
    task = Task(games=None, action_size=2, low=(-2.0, 0.0), high=(2.0, 1.0))
    assert np.allclose(task.squash(np.float32([[-1, -1], [0, 0], [1, 1]])), [[-2, 0], [0, 0.5], [2, 1]])
    for name in task.policies:
        actions = task.script(name, None).actions(np.random.default_rng(0), 50)
        assert actions.shape == (50, 2) and (actions >= [-2, 0]).all() and (actions <= [2, 1]).all()
    held = task.collector(task.presets["quick"].stages.collect).actions(np.random.default_rng(1), 300)
    runs = np.diff(np.flatnonzero(np.diff(held[:, 0])))
    assert runs.mean() > 1 and runs.max() <= 10
    assert task.script("stay", None).actions(None, 1).tolist() == [[0.0, 0.5]]
    plain = Task(games=None, action_size=1)
    assert plain.squash is None and not default_presets(ends=False)["paper"].stages.rnn.done_head
    with pytest.raises(InputError, match="policy jump"):
        BoxScript("jump")


DOC = ROOT / "docs" / "your_task.md"


def blocks(language: str) -> list[str]:
    """The blocks of code of docs/your_task.md in a language."""
    return re.findall(rf"```{language}\n(.*?)```", DOC.read_text(), re.DOTALL)


def test_the_page_on_it_holds(tmp_path, monkeypatch, in_one_process):
    """docs/your_task.md: its files are written and its commands run, with preset smoke for quick, in one folder."""
    for code in blocks("python"):
        name = re.match(r"# (\w+\.py)\n", code)
        (tmp_path / name[1]).write_text(code)
    monkeypatch.chdir(tmp_path)
    commands = [line.split() for block in blocks("sh") for line in block.splitlines()]
    assert len(commands) == 4 and all(words[0] == "python" for words in commands)
    for _, script, *words in commands:
        words = ["smoke" if word == "quick" else word for word in words]
        done = in_one_process(script.removeprefix("SCRIPTS/"), *words)
        assert done.returncode == 0, f"{script} {words}:\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "runs/iterated/iteration-03/evaluation").exists()
    assert (tmp_path / "runs/polecart/report/index.html").exists() and (tmp_path / "runs/dot/iterations.json").exists()
