"""The released Doom run as tests use it: whole, or its settings alone, and games that are played in it."""

import shutil
from pathlib import Path

from commands import ROOT

RELEASE = ROOT / "results" / "doomrnn"
AGENT, COLD_AGENT = "dream-zch-tau1.15-s0", "dream-zch-tau0.10-s0"  # the first one plays unless another is named
PLAY = ("--policy", "left", "--episodes", 2, "--seed", 3)
SHORT = (*PLAY, "--set", "env.time_limit=20")


def settings_alone(folder: Path) -> Path:
    """A run's folder with the release's settings and no stage."""
    folder.mkdir(exist_ok=True)
    shutil.copy(RELEASE / "config.json", folder)
    return folder


def everything(folder: Path) -> dict[Path, bytes]:
    """All files below a folder, and what they hold."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
