# Everything is installed into .venv, nothing outside of it.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lint types bench clean
.DEFAULT_GOAL := test

$(VENV)/installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

$(VENV)/bench: $(VENV)/installed
	$(RUN) -m pip install --quiet --disable-pip-version-check --editable '.[bench]'
	touch $@

demo: $(VENV)/installed
	$(RUN) examples/demo.py

# In several processes: TensorFlow never forgets a function, and there are thousands.
test: lint types
	$(RUN) -m pytest tests/codecs
	$(RUN) -m pytest tests/attacks
	$(RUN) -m pytest --ignore tests/codecs --ignore tests/attacks

lint: $(VENV)/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(VENV)/installed
	$(RUN) -m mypy

bench: $(VENV)/bench
	$(RUN) -m benchmarks

clean:
	rm -rf $(VENV) build *.egg-info
