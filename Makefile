# Two commands for a newcomer: `make demo` and `make test`. Both install what they need in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
EXTRAS ?= dev
STAMP  := $(VENV)/.installed-$(EXTRAS)

.PHONY: venv demo test unit lint types bench soak experiment clean screenshots

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	touch $(STAMP)

venv: $(STAMP)

demo: $(STAMP)
	$(BIN)/rspdemo

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

unit: $(STAMP)
	$(BIN)/pytest -n 2 --ignore=tests/soak --ignore=tests/interop
	$(BIN)/pytest -n auto --dist loadfile -m "not seconds" tests/interop
	$(BIN)/pytest -n 1 -m seconds tests/interop

# With aiortc beside us if it can be had; libusrsctp where a C compiler finds it.
bench: $(STAMP)
	-$(BIN)/pip install --quiet --disable-pip-version-check -e '.[bench]'
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.registrar --lab

screenshots: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[gui]'
	$(BIN)/python -m tests.screenshots docs/images

soak: $(STAMP)
	$(BIN)/pytest tests/soak

# The curves of docs/experiments/calcapp.md, again.
experiment: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[plots]'
	$(BIN)/python docs/experiments/calcapp/experiment.py

clean:
	rm -rf $(VENV) build *.egg-info
