# Each target sets up .venv by itself. PYTHON=python3.12 chooses the Python that it is made with.

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
READY := .venv/ready

# The package is compiled once, and not by every process that a test starts.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo serve test test-all lint bench paper
.DEFAULT_GOAL := demo

demo: $(READY)                  # train, compare and recommend, in about a minute
	$(BIN)/python examples/demo.py

serve: $(READY)                 # a service with a page to click, in about two minutes
	$(BIN)/python examples/serve.py

# Tests of one model run in one process (loadgroup), so that it is fitted once.
PYTEST := $(BIN)/python -m pytest -n auto --maxprocesses 4 --dist loadgroup

SHAPES := tests/test_contract.py tests/kernels tests/training tests/evaluation

test: $(READY)                  # the quick tests, in a few minutes
	$(PYTEST)

test-all: $(READY)              # these and the slow ones, and shapes checked at every call of every model
	$(PYTEST) -m "not paper"
	CHECK_SHAPES=1 $(PYTEST) $(SHAPES)

lint: $(READY)                  # style and types
	$(BIN)/ruff check src tests examples benchmarks
	$(BIN)/ruff format --check src tests examples benchmarks
	$(BIN)/mypy

bench: $(READY)                 # what must be fast, measured
	$(BIN)/python benchmarks/run.py

paper: $(READY)                 # the papers' tables on MovieLens 100K, in some minutes: records and pages in docs/results
	$(BIN)/recollect data fetch movielens/100k
	@done=0; for file in experiments/*.toml; do $(BIN)/recollect run $$file --only 100k || done=1; done; \
		$(BIN)/recollect report --out docs/results && exit $$done

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Recollect needs Python 3.11 or newer, and none was found. Install one, or name it:" \
		"make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { echo "Recollect needs Python 3.11" \
		"or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1 | head -1)." >&2; exit 1; }
	@test -x $(BIN)/python || { echo "Setting up .venv with $$($(PYTHON) --version) …"; \
		$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }; }
	@echo "Installing; the first time takes a few minutes …"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)
