# One environment in .venv, made on first use and again when pyproject.toml or constraints.txt
# change. `make` alone lists the targets.

PYTHON  ?= python3
CONFIG  ?= configs/demo.yaml
ARGS    ?=
FILE    ?=
WORKERS ?= logical
PORT    ?= 5000

BIN       := .venv/bin
INSTALLED := .venv/.installed
COMPILED  := .venv/.compiled
RECSYS    := -c constraints.txt -e '.[dev,docs]'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## list the targets and variables
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  CONFIG=FILE    the study that 'run' runs                 (now: $(CONFIG))"
	@echo "  ARGS=...       more arguments for run, validate, test …  (now: $(ARGS))"
	@echo "  FILE=\"FILES\"   the log that 'describe' describes"
	@echo "  WORKERS=N      test processes; 0 runs them in one        (now: $(WORKERS), at most 4)"
	@echo "  PORT=N         where 'ui' listens                        (now: $(PORT))"
	@echo "  PYTHON=EXE     the Python, 3.11 or later, for .venv      (now: $(PYTHON))"

$(INSTALLED): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "recsys needs Python 3.11 or later, and '$(PYTHON)' is" \
	    "$$($(PYTHON) --version 2>&1 || true). Name another: make PYTHON=python3.12" >&2; \
	  exit 1; }
	@if command -v uv >/dev/null; then \
	  set -ex; \
	  test -x $(BIN)/python || uv venv --quiet --seed --python "$$(command -v $(PYTHON))" .venv; \
	  uv pip install --quiet --python $(BIN)/python $(RECSYS); \
	else \
	  set -ex; \
	  test -x $(BIN)/pip || $(PYTHON) -m venv .venv; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check $(RECSYS); \
	fi
	@touch $@

$(COMPILED): $(INSTALLED)
	@echo "compiling what the demo runs, once: up to a minute"
	@$(BIN)/python -m pipelines.compile
	@touch $@

.PHONY: install
install: $(COMPILED) ## make .venv, with uv where there is one, else with pip, and compile

.PHONY: run
run: $(COMPILED) ## run one study: make run CONFIG=configs/demo.yaml ARGS="key=value ..."
	$(BIN)/recsys run $(CONFIG) $(ARGS)

.PHONY: train
train: CONFIG = configs/train/als.yaml
train: $(INSTALLED) ## train one recommender and test it (CONFIG: configs/train/als.yaml)
	$(BIN)/recsys train $(CONFIG) $(ARGS)

.PHONY: tune
tune: CONFIG = configs/tune/als.yaml
tune: $(INSTALLED) ## search for hyper-parameters (CONFIG: configs/tune/als.yaml)
	$(BIN)/recsys tune $(CONFIG) $(ARGS)

.PHONY: describe
describe: $(INSTALLED) ## say what a log holds: make describe FILE="events.csv users.csv"
	$(BIN)/recsys describe $(FILE) $(ARGS)

.PHONY: validate
validate: $(INSTALLED) ## check the platform against what is known of real ones
	$(BIN)/recsys validate $(ARGS)

.PHONY: prove
prove: $(INSTALLED) ## check the tool's own figures, and a log's tale against the truth
	$(BIN)/recsys prove $(ARGS)

.PHONY: ui
ui: $(INSTALLED) ## browse the runs with MLflow, on this machine only
	$(BIN)/recsys ui --port $(PORT)

.PHONY: docs
docs: $(INSTALLED) ## make the site of the documents, build/site, with no link that leads nowhere
	$(BIN)/python tests/figures/site.py
	$(BIN)/zensical build --strict

# A module runs in one process: what its tests share is made once.
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 --dist loadscope --durations 5

.PHONY: test
test: $(COMPILED) ## run the tests that are not slow, and the examples in docstrings
	$(PYTEST) -m 'not slow' $(ARGS)

.PHONY: test-all
test-all: $(COMPILED) ## run all tests, those too that take above 10 s each
	$(PYTEST) --hypothesis-profile explore $(ARGS)

.PHONY: bench
bench: $(INSTALLED) ## time the hot paths (pytest-benchmark, one process)
	$(BIN)/python -m pytest tests/benchmarks/bench_*.py --benchmark-only $(ARGS)

.PHONY: bench-peers
bench-peers: $(INSTALLED) ## time other simulators, measures and recommenders beside ours (3 GB, once)
	$(BIN)/python tests/benchmarks/peers/compare.py $(ARGS)

.PHONY: pictures
pictures: $(INSTALLED) ## make the pictures of docs/ from the demo (needs Chromium)
	$(BIN)/python tests/figures/pictures.py $(CONFIG) $(ARGS)

.PHONY: formatted
formatted: $(INSTALLED) ## check the format, changing nothing
	$(BIN)/ruff format --check .

.PHONY: lint
lint: formatted ## check format and style, changing nothing
	$(BIN)/ruff check .

.PHONY: types
types: $(INSTALLED) ## check the types of recsys
	$(BIN)/mypy

.PHONY: check
check: $(INSTALLED) ## format, lint, types and test, with the time of each: before a commit
	@took=; for part in formatted lint types test; do \
	  start=$$(date +%s); \
	  $(MAKE) --no-print-directory $$part || exit 1; \
	  took="$$took  $$part $$(($$(date +%s) - start)) s"; \
	done; \
	echo "took:$$took"

.PHONY: format
format: $(INSTALLED) ## format the code and apply the safe fixes
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lock
lock: ## rewrite constraints.txt for every Python from 3.11 (needs uv; ARGS=--upgrade for newer pins)
	uv pip compile pyproject.toml --extra dev --extra docs --extra ray --extra dask --universal --python-version 3.11 \
	  --fork-strategy fewest --no-emit-index-url --no-emit-find-links --no-annotate \
	  --custom-compile-command "make lock" --quiet -o constraints.txt $(ARGS)

.PHONY: clean
clean: ## delete caches and build leftovers; results and .venv stay
	rm -rf build dist *.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -path ./.venv -prune -o -type d -name __pycache__ -exec rm -rf {} +

.PHONY: clean-data
clean-data: ## delete what studies wrote to data/, finished cells too
	find data -mindepth 1 ! -path data/README.md -delete

.PHONY: clean-runs
clean-runs: ## delete every MLflow run and artifact in mlruns/
	rm -rf mlruns

.PHONY: distclean
distclean: clean ## clean, and delete .venv
	rm -rf .venv
