# make demo   the quick preset: real Doom, from collecting to the table (RANKS=n, one a core unless given; RUN=folder)
# make dream  makes the released run's dream as one page, dream.html, and opens it in the browser
# make test   installs, lints and runs all tests
# make smoke  installs, and runs every stage once at toy size
# Needs Python 3.11, 3.12 or 3.13 with venv, and finds it; PYTHON=name names one, VENV=folder another place.
VENV ?= .venv
RUN ?= runs/demo
BIN = $(VENV)/bin
FIRST = 3, 11
LAST = 3, 13

# a Python fits if TensorFlow has wheels for it and venv can bring pip; one it cannot start prints nothing
FITS = import sys, sysconfig, ensurepip, venv; v = sys.version_info[:2]; \
    ok = ($(FIRST)) <= v <= ($(LAST)) and sys.implementation.name == "cpython"; \
    print(*v, sep=".") if ok and not sysconfig.get_config_var("Py_GIL_DISABLED") else None
fits = $(shell '$(1)' -c '$(FITS)' 2>/dev/null)
first = $(firstword $(foreach name,$(1),$(if $(call fits,$(name)),$(name))))

# an environment is made anew where it is of another Python, of one that is gone, half made, or of a folder since moved
whole := $(shell '$(BIN)/python' -c 'import pip; print(pip.__name__)' 2>/dev/null)
here := $(shell test ! -s '$(VENV)/installed' || test "`cat '$(VENV)/installed'`" = "$$PWD" && echo here)
there := $(and $(whole),$(here),$(call fits,$(BIN)/python))

# the Python named, else that of an environment that is there already, else the first that fits
names := $(or $(PYTHON),$(if $(there),$(BIN)/python) python3 python3.13 python3.12 python3.11 python)
chosen := $(call first,$(names))
stale := $(if $(chosen),$(if $(filter $(or $(there),none),$(call fits,$(chosen))),,stale))
asked := $(or $(PYTHON),python3)
refusal = needs Python 3.11, 3.12 or 3.13 with venv (on Debian: apt install python3-venv), and \
    $(asked) is: $(or $(shell '$(asked)' -V 2>&1 | head -n 1),not there); name another with PYTHON=

export RUN

.PHONY: install demo dream smoke test lock clean stale

install: $(VENV)/installed

$(VENV)/installed: setup.py requirements-lock.txt $(stale)
	@$(if $(chosen),,echo "make: $(strip $(refusal))" >&2; exit 2)
	$(if $(stale),'$(chosen)' -m venv --clear '$(VENV)')
	'$(BIN)/python' -m pip install --quiet --disable-pip-version-check -r requirements-lock.txt
	'$(BIN)/python' -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	pwd > '$@'

demo: install
	'$(BIN)/python' scripts/reproduce.py doomrnn --preset quick --run "$$RUN" $(if $(RANKS),--ranks $(RANKS))

smoke: install
	'$(BIN)/python' scripts/reproduce.py doomrnn --preset smoke --run "$$RUN" --ranks 2

dream: install
	'$(BIN)/python' scripts/dream_page.py --run results/doomrnn --to dream.html --open

test: install
	'$(BIN)/python' -m ruff check .
	'$(BIN)/python' -m ruff format --check .
	'$(BIN)/python' -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lock:  # the versions that are installed now
	'$(BIN)/python' -m pip freeze --exclude-editable --exclude world-models-tf > requirements-lock.txt

clean:
	rm -rf '$(VENV)' build dist *.egg-info
