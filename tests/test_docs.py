"""The documentation's links: files that exist, functions that stand in them, tests that are there."""

import ast
import re
from pathlib import Path

import pytest
from commands import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\[([^\]]*)\]\(([^)\s]+)\)")
PAPER_SECTIONS = ["2.1", "2.2", "2.3", "2.4", "3.1", "3.2", "3.3", "3.4", "4.1", "4.2", "4.3", "4.4", "4.5", "5"]
PAPER_SECTIONS += ["A.1", "A.2", "A.3", "A.4", "A.5"]


def names_in(source: str) -> set[str]:
    """Functions, classes and constants of a module, and methods and fields of its classes as ``Class.name``."""
    tree = ast.parse(source)
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    return _bound(tree) | {f"{made.name}.{name}" for made in classes for name in _bound(made)}


def _bound(scope: ast.Module | ast.ClassDef) -> set[str]:
    names = set()
    for node in scope.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {target.id for target in targets if isinstance(target, ast.Name)}
    return names


def dead_links(page: Path, text: str) -> list[str]:
    """The links of a page that lead nowhere: no such file, or none of that name in it."""
    dead = []
    for label, target in LINK.findall(text):
        if target.startswith(("http:", "https:", "#")):
            continue
        file = page.parent / target.partition("#")[0]
        named = file.suffix == ".py" and label.startswith("`")
        if not file.exists() or (named and label.strip("`") not in names_in(file.read_text())):
            dead.append(f"[{label}]({target})")
    return dead


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Every relative link's file exists, and holds the function, class or test that the link names."""
    assert not dead_links(page, page.read_text())


@pytest.mark.parametrize(
    "link",
    [
        "[`sample`](../rnn/mnd.py)",
        "[`smaple`](../rnn/mdn.py)",
        "[`Dream.smaple`](../rnn/dream.py)",
        "[`test_that_never_was`](../tests/test_mdn.py)",
        "![a figure](figure.png)",
    ],
)
def test_a_dead_link_would_be_found(link):
    """The rule above can fail, and does not where the names are right."""
    page = ROOT / "docs" / "paper_to_code.md"
    assert dead_links(page, f"text {link} text")
    assert not dead_links(page, "[`sample`](../rnn/mdn.py) [`Dream.compile`](../rnn/dream.py) [web](https://x.y)")


def test_the_paper_is_covered():
    """Each section of the paper has its heading, and each of its rows names code and a test that proves it."""
    text = (ROOT / "docs" / "paper_to_code.md").read_text()
    headings = [line.lstrip("# ").split()[0] for line in text.splitlines() if line.startswith("##")]
    assert [section for section in PAPER_SECTIONS if section not in headings] == []
    rows = [
        line
        for line in text.splitlines()
        if line.startswith("|") and not line.startswith(("| ---", "| paper", "| rule"))
    ]
    assert len(rows) > 50
    for row in rows:
        code, proof = row.replace("\\|", "/").strip("| ").split(" | ")[1:]
        targets = [[target for _, target in LINK.findall(cell)] for cell in (code, proof)]
        assert targets[0] and not any(target.startswith("../tests/") for target in targets[0]), row
        assert targets[1] and all(target.startswith("../tests/test_") for target in targets[1]), row
