"""The model cards, the changelog and the citation say what the results and setup.py hold."""

import re

import pytest
from commands import ROOT

from controller.evaluation import Evaluation, row
from experiment.files import read_json

CARDS = sorted((ROOT / "results").glob("*/README.md"))
ROW = re.compile(r"^\|[^|]*\|[^|]*\| (?P<score>[^|]*) \| (?P<file>[^ |]*\.json) \|$", re.MULTILINE)
EVALUATIONS = {"doomrnn": "evaluation/"}  # where a card's files are, beside it


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.parent.name)
def test_a_card_holds_the_scores_of_its_files(card):
    """Every row of scores is the mean, spread, interval and N of the evaluation that it names."""
    rows = list(ROW.finditer(card.read_text()))
    assert len(rows) >= 5
    for found in rows:
        file = card.parent / EVALUATIONS.get(card.parent.name, "") / found["file"]
        assert row(Evaluation(**read_json(file))) == found["score"], found["file"]


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.parent.name)
def test_a_card_says_what_a_reader_must_know(card):
    """What it is, of which data, how well it does, where it fails, and what may be done with it."""
    for word in ("What it is.", "Data.", "Scores.", "Limits.", "Licence:"):
        assert f"**{word}**" in card.read_text()


def test_every_folder_of_results_has_a_card():
    """One in each."""
    assert {card.parent for card in CARDS} == {path for path in (ROOT / "results").iterdir() if path.is_dir()}


def test_the_pooled_score_is_that_of_both_samples():
    """The released hundred and the 300 fresh games, as the card gives them, make the 400."""
    (hundred, fresh) = (842, 451, 100), (756, 460, 300)
    mean = sum(m * n for m, _, n in (hundred, fresh)) / 400
    std = (sum(n * (s**2 + (m - mean) ** 2) for m, s, n in (hundred, fresh)) / 400) ** 0.5
    half = 1.96 * std / 400**0.5
    assert (abs(mean - 777) < 1, abs(std - 460) < 1, abs(mean - half - 732) < 2, abs(mean + half - 822) < 2) == (
        True,
    ) * 4
    assert "777 ± 460 [732, 822] over all 400" in (ROOT / "results" / "doomrnn" / "README.md").read_text()


def test_version_and_licence_are_the_same_everywhere():
    """CITATION.cff and the changelog name setup.py's version."""
    version = re.search(r'version="([^"]+)"', (ROOT / "setup.py").read_text())[1]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {version}\n" in citation and "\nlicense: MIT\n" in citation and "cff-version: 1.2.0" in citation
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()
