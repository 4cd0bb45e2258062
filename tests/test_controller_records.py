"""What a controller was made with: its own record, not that of the command that was run last."""

import json
import shutil
from types import SimpleNamespace

import pytest
from released import AGENT, COLD_AGENT, RELEASE

from controller.checkpoints import training_config
from experiment.errors import InputError
from experiment.files import read_sealed, write_sealed


@pytest.fixture
def mixed(tmp_path):
    """The released run with a configuration whose last command trained the agent of 0.10."""
    import cli

    shutil.copytree(RELEASE / "controller", tmp_path / "run" / "controller")
    values = read_sealed(RELEASE / "config.json")
    values["stages"]["controller"] |= {"generations": 50, "validation_games": 0, "temperature": 1.3}
    write_sealed(tmp_path / "run" / "config.json", values)
    return cli.open_existing(tmp_path / "run")


def test_each_controller_has_its_own_settings(mixed):
    """Generations that were played, its own temperature and validation games; without a record, the run's."""
    config = mixed.stages.controller
    hot, cold = (training_config(mixed.path / "controller" / name, config) for name in (AGENT, COLD_AGENT))
    assert (hot.generations, hot.validation_games, hot.temperature) == (151, 64, 1.15)
    assert (cold.generations, cold.validation_games, cold.temperature) == (50, 0, 0.10)
    assert training_config(mixed.path / "controller" / "imported", config) is config
    begun = mixed.path / "controller" / AGENT / "begun.json"
    begun.write_text(begun.read_text().replace("64", "32", 1))
    with pytest.raises(InputError, match="damaged"):
        training_config(begun.parent, config)


def test_the_next_iteration_inherits_from_who_plays(mixed):
    """Its C has the playing controller's settings, but for what `iterate` and --set say; all else is the run's."""
    from iterate import new_run

    arguments = SimpleNamespace(overrides=["controller.popsize=32"], seed=None, to=mixed.path / "two")
    new, explicit = new_run(arguments, mixed, mixed.path / "controller" / AGENT)
    made = new.stages.controller
    assert (made.validation_games, made.temperature, made.popsize) == (64, 1.15, 32)
    assert made.generations == mixed.stages.iterate.generations and made.evaluate_every == 10
    assert new.stages.env == mixed.stages.env and new.seed == mixed.seed + 1 and explicit == {"controller.popsize"}


def test_a_release_tells_who_plays_by_default(mixed):
    """Its configuration is the usual controller's, sealed, and opens as a run's; its rollouts are in the run's
    precision, or in one that is asked for, whatever a command had set.
    """
    import cli
    from release import configuration

    file = mixed.path / "config.json"
    write_sealed(file, read_sealed(file) | {"overrides": {"controller.precision": "float32"}})
    for asked, precision in ((None, "float32"), ("bfloat16", "bfloat16")):
        write_sealed(file, configuration(cli.open_existing(mixed.path), asked))
        run = cli.open_existing(mixed.path)
        made = run.stages.controller
        assert (made.generations, made.validation_games, made.temperature) == (151, 64, 1.15)
        assert made.precision == run.overrides["controller.precision"] == precision


def test_the_released_configuration():
    """It says what the released agent was made with."""
    made = json.loads((RELEASE / "config.json").read_text())["stages"]["controller"]
    assert (made["generations"], made["validation_games"], made["evaluate_every"]) == (151, 64, 10)
