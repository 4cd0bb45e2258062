"""The public names of the packages: all resolve, and importing a package loads nothing heavy."""

import importlib
import inspect
import json
import sys

import pytest
from commands import ROOT, run
from test_imports import HEAVY, LIBRARIES

from experiment.public import public

LIGHT = f"""
import json, sys
found = {{}}
for name in {sorted(LIBRARIES)!r}:
    package = __import__(name)
    heavy = sorted({HEAVY | {"numba", "cv2", "matplotlib"}!r} & set(sys.modules))
    found[name] = [len(package.__all__), heavy, sorted(set(package.__all__) - set(dir(package)))]
print(json.dumps(found))
"""


def test_packages_import_light():
    """No TensorFlow, engine or MPI comes with a package; its names are shown, and not loaded."""
    done = run([sys.executable, "-c", LIGHT], PYTHONPATH=str(ROOT))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert set(found) == LIBRARIES
    for package, (count, heavy, hidden) in found.items():
        assert count >= 6 and not heavy and not hidden, package


@pytest.mark.parametrize("package", sorted(LIBRARIES))
def test_every_public_name_resolves(package):
    """A name whose module or object was renamed would be found; each is one of the package's own, with a docstring."""
    module = importlib.import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        assert vars(module)[name] is value, "loaded once"
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__module__.split(".")[0] == package and value.__name__ == name
            assert value.__doc__, f"{package}.{name}"


def test_the_way_in():
    """The names a user begins with."""
    from controller import load_agent
    from controller.agent import load_agent as the_same
    from doomrnn import TASK

    assert load_agent is the_same and TASK.name == "doomrnn"


def test_names_that_are_not_there():
    """An unknown name is an AttributeError and an ImportError, as of any module; a stale or doubled one is found."""
    import vae

    with pytest.raises(AttributeError, match="module 'vae' has no attribute 'nonsense'"):
        _ = vae.nonsense
    with pytest.raises(ImportError):
        from vae import nonsense  # noqa: F401
    names, load, _ = public("vae", {"losses": ["vae_loss", "renamed"]})
    assert names == ["renamed", "vae_loss"]
    with pytest.raises(AttributeError, match="renamed"):
        load("renamed")
    with pytest.raises(ValueError, match="twice"):
        public("vae", {"losses": ["vae_loss"], "model": ["vae_loss"]})
