# `make demo` and `make test` do everything on a fresh machine with Python 3.11, pip and make.
PYTHON ?= python3
VENV := .venv
BENCH_VENV := .venv-bench
BIN := $(VENV)/bin
PIP_INSTALL := pip install --quiet --disable-pip-version-check
DEMO := demo
TEST_PROCESSES ?= 2
# Hundreds of processes start in the tests: each is quicker by a third where the compiled modules are kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo job-demo test test-slow chaos fuzz growth lint format types layers bench docs screenshot clean

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/$(PIP_INSTALL) -c constraints.txt -e '.[dev]'
	touch $@

# The main job on real input: one CSV of 336,776 flights, to a dashboard.
demo: $(VENV)/.installed
	$(BIN)/python -m benchmarks.demo_data $(DEMO)/flights.csv
	$(BIN)/raypipe run $(DEMO)/flights.csv --target arr_delay --time scheduled_departure --theme auto \
	  --title "Flights from New York City, 2013" --output $(DEMO)/output --context operations

# The same as a job on a local Ray cluster with token authentication: checked, packed, sent, followed to its end.
job-demo: $(VENV)/.installed
	$(BIN)/python -m benchmarks.demo_data $(DEMO)/flights.csv
	$(BIN)/python -m jobs.job_demo $(DEMO)/flights.csv

# Two processes, each with a Ray of its own: tests wait more than they compute.
test: $(VENV)/.installed
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist worksteal

# What takes minutes, and the laws with ten times the examples.
test-slow: $(VENV)/.installed
	$(BIN)/python -m pytest -m slow
	$(BIN)/python -m pytest -m "hypothesis and not slow" --hypothesis-profile=thorough

# Fifty kills of workers, nodes and drivers at moments drawn from a seed; every run must end with equal outputs.
chaos: $(VENV)/.installed
	$(BIN)/python -m tests.faults.chaos --kills 50 --seed 1 --out benchmarks/results

# Mutated files of every format, led by what code they reach: make fuzz SECONDS=3600. The report has the counts.
fuzz: $(VENV)/.installed
	$(BIN)/python -m tests.fuzz.driver --seconds $(or $(SECONDS),600) --out fuzz/fuzz.json

# A run on a cluster whose autoscaler begins with no node, and ends with none.
growth: $(VENV)/.installed
	$(BIN)/python -m benchmarks.growth

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(VENV)/.installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: $(VENV)/.installed
	$(BIN)/mypy

layers: $(VENV)/.installed
	$(BIN)/lint-imports

# The peers live in a venv of their own; raypipe is measured in its own, under constraints.txt.
$(BENCH_VENV)/.installed: benchmarks/requirements.txt
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/$(PIP_INSTALL) -r benchmarks/requirements.txt
	touch $@

bench: $(VENV)/.installed $(BENCH_VENV)/.installed
	$(BIN)/python -m benchmarks.startup --peers $(BENCH_VENV)/bin/python
	$(BIN)/python -m benchmarks.engine --peers $(BENCH_VENV)/bin/python
	$(BIN)/python -m benchmarks.profile --peers $(BENCH_VENV)/bin/python
	$(BIN)/python -m benchmarks.validate --peers $(BENCH_VENV)/bin/python
	$(BIN)/python -m benchmarks.ingest --peers $(BENCH_VENV)/bin/python
	$(BIN)/python -m benchmarks.wide --peers $(BENCH_VENV)/bin/python
	$(BIN)/python -m benchmarks.cloud_io --peers $(BENCH_VENV)/bin/python
	$(BIN)/python -m benchmarks.scaling --peers $(BENCH_VENV)/bin/python

# Every example in the documentation runs, and every link between its pages leads somewhere.
docs: $(VENV)/.installed
	$(BIN)/python -m pytest tests/docs

# The picture of the README, from the page that `make demo` drew last. Needs Chromium.
screenshot: $(VENV)/.installed
	$(BIN)/python -m benchmarks.demo_picture $(DEMO)/output docs/images

clean:
	rm -rf $(VENV) $(BENCH_VENV) $(DEMO) output build .pytest_cache .mypy_cache .ruff_cache .hypothesis
