"""The model cards, the changelog and the citation say what the results and setup.py hold."""

import re

import numpy as np
import pytest
from commands import ROOT
from released import AGENT, RELEASE
from reporting.tables import row

from controller.evaluation import Evaluation
from controller.statistics import bootstrap_interval
from experiment.files import read_json

RESULTS = ROOT / "results"
CARDS = sorted(RESULTS.rglob("README.md"))
ROW = re.compile(r"^\|[^|]*\|[^|]*\| (?P<score>[^|]*) \| (?P<file>[^ |]*\.json) \|$", re.MULTILINE)
EVALUATIONS = {"doomrnn": "evaluation/"}  # where a card's files are, beside it


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.parent.name)
def test_a_card_holds_the_scores_of_its_files(card):
    """Every row of scores is the mean, spread, interval and N of the evaluation that it names."""
    rows = list(ROW.finditer(card.read_text()))
    if not list(card.parent.rglob("evaluation/*.json")):
        assert "**Scores.** None yet." in card.read_text() and not rows
        return
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
    folders = {path for path in RESULTS.iterdir() if path.is_dir()}
    assert {card.parent for card in CARDS if card.parent.parent == RESULTS} == folders


def test_the_pooled_score_is_that_of_both_samples():
    """The released hundred and the 1,000 further episodes of the agent of 1.15 make the 1,100 that the card pools."""
    files = [read_json(RELEASE / "evaluation" / f"real-{AGENT}-seed{which}.json") for which in ("7-n100", "21-n1000")]
    scores = np.concatenate([file["scores"] for file in files])
    low, high = bootstrap_interval(scores)
    pooled = f"{scores.mean():.0f} ± {scores.std():.0f}"
    found = re.search(r"(\d+ ± \d+) \[(\d+), (\d+)\] \(1,100\)", (RELEASE / "README.md").read_text())
    assert found[1] == pooled
    assert abs(int(found[2]) - low) < 2 and abs(int(found[3]) - high) < 2


def test_version_and_licence_are_the_same_everywhere():
    """CITATION.cff and the changelog name setup.py's version."""
    version = re.search(r'version="([^"]+)"', (ROOT / "setup.py").read_text())[1]
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {version}\n" in citation and "\nlicense: MIT\n" in citation and "cff-version: 1.2.0" in citation
    assert f"\n## {version}" in (ROOT / "CHANGELOG.md").read_text()
