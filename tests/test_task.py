"""What a task says of itself holds together, and each of its fields says what it is."""

import ast
import dataclasses

import numpy as np
import pytest
from commands import ROOT, every_task

from controller.config import VARIANTS, WORLDS
from controller.task import Task
from experiment.errors import InputError
from rollouts.scripted import Script

TASKS = pytest.mark.parametrize("task", every_task(), ids=lambda task: task.name)


def test_every_field_is_documented():
    """A field of `Task` is followed by a line of its own on what it is."""
    tree = ast.parse((ROOT / "controller" / "task.py").read_text())
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Task").body
    documented = {
        field.target.id
        for field, text in zip(body, body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }
    assert documented == {item.name for item in dataclasses.fields(Task)}


@TASKS
def test_scripted_policies(task):
    """Each named policy can be made and fills a rollout with actions; the baselines are among them."""
    assert set(task.baselines) <= set(task.policies)
    scripts = [task.script(name, None) for name in task.policies]
    scripts += [task.collector(preset.stages.collect) for preset in task.presets.values()]
    for script in scripts:
        actions = script.actions(np.random.default_rng(0), 7)
        assert isinstance(script, Script) and actions.shape == (7, task.action_size) and actions.dtype == np.float32
    with pytest.raises(InputError, match="policy nonsense"):
        task.script("nonsense", None)


@TASKS
def test_presets_and_defaults(task):
    """The paper's settings are there, others have the same types, and the default controller is one of the paper's."""
    paper = task.presets["paper"]
    assert task.variant in VARIANTS and task.variant in paper.variants and task.world in WORLDS
    for name, preset in task.presets.items():
        assert preset.name == name and set(preset.variants) <= set(VARIANTS)
        assert [type(stage) for stage in vars(preset.stages).values()] == [
            type(stage) for stage in vars(paper.stages).values()
        ]
        assert 0 < task.episode_length(preset.stages.env) <= preset.stages.env.time_limit
    tau = paper.stages.controller.temperature
    usual = {"dream": f"dream-{task.variant}-tau{tau:.2f}-s0", "real": f"real-{task.variant}-s0"}
    assert task.usual_controller == usual[task.world]
