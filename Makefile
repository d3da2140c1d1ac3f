# casegrade: `make help` lists the targets.
# Needs Python 3.11 or later and make; everything else goes into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup reports data check test lint bench format notebooks docs dictionary lab lock clean

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z]+:.*## / {printf "%-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## make .venv with the exact versions of requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "casegrade needs Python 3.11 or later: make PYTHON=python3.12 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $@

reports: setup data ## set up, clean, make the reports of all forces in reports/
	$(BIN)/casegrade report --all

data: setup check ## clean data/raw into data/processed
	$(BIN)/casegrade clean

check: setup ## check data/raw against datapackage.json
	$(BIN)/casegrade check

test: setup ## set up, run all tests, notebooks included
	$(BIN)/casegrade clean
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile tests
	$(BIN)/python -m pytest --nbval notebooks

lint: setup ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup ## time the batch beside other ways, on synthetic forces; about an hour
	$(BIN)/python benchmarks/bench.py

format: setup ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: setup ## run the committed notebooks again and store them as run
	$(BIN)/casegrade notebooks

docs: setup ## build the site of the docs, with the API reference, into docs/_build/html
	rm -rf docs/_build
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env --builder html --conf-dir docs --doctree-dir docs/_build/doctrees . docs/_build/html

dictionary: setup ## write docs/data-dictionary.md and docs/run-record.schema.json again
	$(BIN)/casegrade dictionary

lab: setup ## open JupyterLab on the project
	$(BIN)/casegrade lab

lock: setup ## write requirements.lock again from pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.9"
	$(BIN)/uv pip compile pyproject.toml --extra cluster --extra dev --extra docs --extra lab --extra lab-scheduler --extra pdf --universal --python-version 3.11 \
		--generate-hashes --no-annotate \
		--custom-compile-command "make lock" --quiet --output-file requirements.lock

clean: ## remove data/processed; reports stay, as they hold who signed what
	rm -rf data/processed
