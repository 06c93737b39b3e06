# make train: a trained model from a fresh clone. make test: what is checked before a commit. make long: the tests that
# take longest, which continuous integration runs after it.
# make docs: the API reference, build/docs/index.html.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed

# Images of containers often set it; each of the processes that tests start would compile the source of torch again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: train test long docs audit format install clean

train: install
	$(BIN)/seqmodels train

test: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup

long: install
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadgroup -m "long and not slow"

docs: install
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going docs/reference build/docs

# Asks PyPI for known vulnerabilities of what is pinned; says so and goes on where there is no network.
audit: install
	-$(BIN)/python -m pip install --quiet --constraint constraints.txt pip-audit 2>/dev/null
	$(BIN)/python scripts/audit.py

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

install: $(READY)

# The CPU build of torch is enough to start with; for a GPU install the torch of your CUDA afterwards. What is imported is
# compiled as it is imported; all of it would take half a minute.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable ".[dev]"
	touch $@

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
