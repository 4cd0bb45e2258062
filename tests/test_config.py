"""Settings: each field knows its type and bounds, and a wrong word is refused with what would be right."""

import dataclasses
import itertools

import pytest
from commands import every_task

import carracing.presets
import carracing.task
from controller.config import ControllerConfig, EvaluateConfig, Stages
from doomrnn.config import DoomEnvConfig
from doomrnn.presets import PRESETS
from experiment.config import describe, from_values, override
from experiment.errors import InputError
from rnn.config import RNNConfig
from vae.config import VAEConfig


@dataclasses.dataclass(frozen=True)
class FourStages:
    """Some stages of a run."""

    env: DoomEnvConfig = DoomEnvConfig()
    vae: VAEConfig = VAEConfig()
    rnn: RNNConfig = RNNConfig()
    controller: ControllerConfig = ControllerConfig()


STAGES = FourStages()


def test_the_papers_numbers():
    """`paper` is the defaults, and they are the published ones."""
    stages = PRESETS["paper"].stages
    assert (stages.vae.z_size, stages.vae.batch_size, stages.vae.learning_rate) == (64, 100, 1e-4)
    assert (stages.rnn.hidden_size, stages.rnn.mixtures, stages.rnn.done_weight) == (512, 5, 10.0)
    assert (stages.rnn.batch_size, stages.rnn.sequence_length, stages.rnn.epochs) == (100, 500, 20.0)
    controller = stages.controller
    assert (controller.popsize, controller.rollouts, controller.sigma_init) == (64, 16, 0.1)
    assert (controller.evaluate_every, controller.evaluate_rollouts, controller.temperature) == (25, 1024, 1.15)
    assert (stages.collect.episodes, stages.collect.max_hold, stages.collect.minimum_length) == (
        10_000,
        10,
        101,
    )
    assert (stages.env.skill, stages.env.time_limit, controller.time_limit) == (4, 2100, 2100)
    assert stages.evaluate == EvaluateConfig() and stages.evaluate.episodes == 100
    assert carracing.presets.VAE.z_size == 32
    assert (carracing.presets.RNN.hidden_size, carracing.presets.RNN.done_head) == (256, False)
    assert (stages.vae.epochs, stages.vae.kl_tolerance, stages.rnn.clip) == (1.0, 0.5, 1.0)
    assert (controller.generations, controller.hidden_size, stages.evaluate.dream_episodes) == (1800, 40, 1024)
    racing = carracing.presets.PAPER
    assert (racing.collect.episodes, racing.env.time_limit, racing.rnn.epochs) == (10_000, 1000, 20.0)
    assert not stages.rnn.reward_head and not racing.rnn.reward_head


def test_every_preset_holds_every_stage():
    """A preset is complete, each stage of its field's type, and its population can be paired."""
    for preset in (preset for task in every_task() for preset in task.presets.values()):
        for item in dataclasses.fields(Stages):
            assert isinstance(getattr(preset.stages, item.name), item.type)
        assert preset.stages.controller.popsize % 2 == 0


def test_a_setting_is_changed_and_the_rest_kept():
    """The word is read as the field's own type; the given stages stay as they were."""
    changed = override(STAGES, "controller.temperature=2")
    assert changed.controller == dataclasses.replace(STAGES.controller, temperature=2.0)
    assert isinstance(changed.controller.temperature, float) and STAGES.controller.temperature == 1.15
    assert changed.vae is STAGES.vae
    assert override(STAGES, "rnn.done_head=false").rnn.done_head is False
    assert override(STAGES, "rnn.done_head=1").rnn.done_head is True
    assert override(STAGES, "rnn.precision=bfloat16").rnn.precision == "bfloat16"


def test_settings_that_need_one_another_are_given_in_any_order():
    """`first_rollouts` wants `full_rollouts_at`, so that neither is judged before both are known."""
    words = ("controller.first_rollouts=2", "controller.full_rollouts_at=750")
    for order in (words, words[::-1]):
        changed = override(STAGES, *order).controller
        assert (changed.first_rollouts, changed.full_rollouts_at) == (2, 750.0)
    with pytest.raises(InputError, match="set controller.full_rollouts_at above 0"):
        override(STAGES, words[0])


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("temperature=1", "write it as stage.field=value"),
        ("controller.temperature", "write it as stage.field=value"),
        ("nothing.temperature=1", "unknown stage 'nothing' (one of env, vae, rnn, controller)"),
        ("controller.warmth=1", "stage 'controller' has no field 'warmth' (one of hidden_size, popsize"),
        ("controller.temperature=warm", "controller.temperature=warm: not a value of type float"),
        ("controller.temperature=0", "controller.temperature=0.0: must be above 0"),
        ("controller.temperature=-1", "must be above 0"),
        ("controller.temperature=nan", "must be a finite number"),
        ("controller.temperature=inf", "must be a finite number"),
        ("vae.epochs=1e999", "must be a finite number"),
        ("controller.popsize=64.0", "not a value of type int"),
        ("controller.popsize=2", "must be at least 4"),
        ("controller.popsize=" + "9" * 24, "must be at most 1000000000"),
        ("env.time_limit=1000001", "must be at most 1000000"),
        ("controller.batch_size=8", "must be at least 16"),
        ("rnn.regime=both", "must be one of concatenated, episodes"),
        ("rnn.done_head=perhaps", "not a value of type bool"),
        ("env.width=161", "must be one of 160, 320, 640"),
        ("env.skill=6", "must be one of 1, 2, 3, 4, 5"),
        ("vae.precision=float16", "must be one of float32, bfloat16"),
        ("=", "write it as stage.field=value"),
        ("", "write it as stage.field=value"),
    ],
)
def test_a_wrong_word_is_refused(word, words):
    """One line: the word, and what would be right."""
    with pytest.raises(InputError) as caught:
        override(STAGES, word)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"temperature": 0.0}, "temperature=0.0: must be above 0"),
        ({"temperature": "warm"}, "must be of type float"),
        ({"popsize": True}, "must be of type int"),
        ({"warmth": 1}, "fields do not fit this version (warmth)"),
        ({"popsize": None}, "must be of type int"),
    ],
)
def test_stored_values_are_doubted(change, words):
    """What a file holds is held against the same types and bounds."""
    with pytest.raises(InputError) as caught:
        from_values(ControllerConfig, vars(ControllerConfig()) | change, "config.json [controller]")
    assert words in str(caught.value) and "config.json" in str(caught.value)


def test_stored_values_come_back():
    """A whole number stored for a float field is one again."""
    assert from_values(ControllerConfig, vars(ControllerConfig()) | {"temperature": 2}, "") == ControllerConfig(
        temperature=2.0
    )


def test_every_field_is_described():
    """Name, default, unit or choices, meaning and source of each in aligned columns, one line a field."""
    lines = describe(STAGES, {"controller.temperature": "a lecture"}).splitlines()
    rows = [line for line in lines if line.startswith("  ")]
    starts = [rows[0].index(head) for head in ("name", "default", "unit", "meaning", "source")]
    cells = [[line[i:j].strip() for i, j in itertools.pairwise([*starts, None])] for line in rows]
    assert len(rows) == 1 + sum(len(dataclasses.fields(stage)) for stage in vars(STAGES).values())
    width = "width of the rendered screen, pixels (height: 3/4 of it)"
    assert ["env.width", "160", "160|320|640", width, "ours"] in cells
    popsize = "candidates in a generation, an even number"
    assert ["controller.popsize", "64", "candidates", popsize, "paper, appendix A.4"] in cells
    assert ["controller.temperature", "1.15", "", "dream temperature", "a lecture"] in cells
    assert [line for line in lines if line and line not in rows] == [
        "env: Take cover in ViZDoom, as in the paper",
        "vae: V and its training",
        "rnn: M and its training",
        "controller: C and its training with CMA-ES",
    ]


@pytest.mark.parametrize("task", every_task(), ids=lambda task: task.name)
def test_the_source_belongs_to_the_tasks_value(task):
    """A value that is not its field's default names its own source, and no source speaks of the other task."""
    paper = task.presets["paper"]
    known = {f"{stage}.{item.name}": item for stage, c in vars(paper.stages).items() for item in dataclasses.fields(c)}
    assert set(paper.sources) <= set(known)
    values = {f"{stage}.{name}": value for stage, c in vars(paper.stages).items() for name, value in vars(c).items()}
    fields_own = {name for name, item in known.items() if values[name] == item.default}
    stated_by_the_paper_for_both = {"vae.z_size", "rnn.hidden_size"}
    assert set(known) - fields_own - set(paper.sources) <= stated_by_the_paper_for_both
    others = {"doomrnn": ("section 3", "table 1"), "carracing": ("section 4", "table 2", "appendix A.5")}.get(
        task.name, ("section 3", "section 4", "table 1", "table 2")
    )
    assert not [line for line in describe(paper.stages, paper.sources).splitlines() if line.endswith(others)]


def test_meanings_stand_by_themselves():
    """One short line for each setting, that does not begin in the middle of a sentence."""
    for task in every_task():
        for config in vars(task.presets["paper"].stages).values():
            for item in dataclasses.fields(config):
                meaning = item.metadata["help"]
                assert 6 < len(meaning) <= 60 and "\n" not in meaning, meaning
                assert not meaning.startswith(("of ", "such ", "the same", "as above")), meaning


def test_a_presets_own_values_name_it():
    """What quick changes comes from quick; what it keeps has the source of `paper`."""
    presets = carracing.task.TASK.presets
    sources = presets["quick"].all_sources(presets["paper"])
    assert sources["vae.batch_size"] == sources["env.view"] == "preset quick"
    assert sources["controller.temperature"] == "authors' code" and "vae.z_size" not in sources
    assert presets["paper"].all_sources(presets["paper"]) == presets["paper"].sources


def test_what_the_authors_code_does():
    """V 10 passes; M 400 of Doom's, 4,000 updates of CarRacing's; tau 1.25; all of it by the authors' code."""
    doom, car = PRESETS["authors"], carracing.task.TASK.presets["authors"]
    assert (doom.stages.vae.epochs, doom.stages.rnn.epochs, doom.stages.controller.temperature) == (10, 400, 1.25)
    assert doom.stages.rnn.train_across_seam and car.stages.vae.epochs == 10
    held_in = car.stages.collect.episodes * 19 // 20
    assert round(car.stages.rnn.epochs * (held_in // car.stages.rnn.batch_size)) == 4000
    for preset, paper in ((doom, PRESETS["paper"]), (car, carracing.task.TASK.presets["paper"])):
        assert set(preset.all_sources(paper).values()) <= {*paper.sources.values(), "authors' code"}


def test_a_record_older_than_a_field_means_its_default():
    """What was stored before `controller.stall_limit` existed is read as made without it."""
    stored = {name: value for name, value in vars(ControllerConfig()).items() if name != "stall_limit"}
    assert from_values(ControllerConfig, stored, "") == ControllerConfig()
    with pytest.raises(InputError, match="popsize"):
        from_values(ControllerConfig, {k: v for k, v in stored.items() if k != "popsize"}, "")
