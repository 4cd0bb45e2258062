# make demo   the quick preset: real Doom, from collecting to the table (RANKS=n, one a core unless given; RUN=folder)
# make dream  makes the released run's dream as one page, dream.html, and opens it in the browser
# make test   installs, lints and runs all tests
PYTHON ?= python3.11
RUN ?= runs/demo
BIN = .venv/bin

.PHONY: install demo dream test lock clean

install: .venv/installed

.venv/installed: setup.py requirements-lock.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-lock.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: install
	$(BIN)/python scripts/reproduce.py doomrnn --preset quick --run $(RUN) $(if $(RANKS),--ranks $(RANKS))

dream: install
	$(BIN)/python scripts/dream_page.py --run results/doomrnn --to dream.html --open

test: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest

lock:  # the versions that are installed now
	$(BIN)/pip freeze --exclude-editable --exclude world-models-tf > requirements-lock.txt

clean:
	rm -rf .venv build dist *.egg-info
