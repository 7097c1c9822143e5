# Everything is installed into .venv, nothing outside of it.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
PYTEST := $(RUN) -m pytest

.PHONY: demo test pytest pytest-others pytest-codecs pytest-cases pytest-attacks coverage e2e lint types build protos test-bulk test-versions bench clean
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

test: lint types pytest

# In several processes, two at a time, the longest first: TensorFlow never forgets a function, and
# there are thousands; and tracing them keeps one core busy.
PARTS := pytest-others pytest-codecs pytest-cases pytest-attacks
pytest: $(VENV)/installed
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(PARTS)

pytest-cases: $(VENV)/installed
	$(PYTEST) -m cases tests

pytest-codecs: $(VENV)/installed
	$(PYTEST) -m "not cases" tests/codecs tests/runtime

pytest-attacks: $(VENV)/installed
	$(PYTEST) -m "not cases" tests/attacks tests/choose

pytest-others: $(VENV)/installed
	$(PYTEST) -m "not cases" $(addprefix --ignore tests/,codecs runtime attacks choose)

# The clients, the examples and the operator's files against servers: always the stand-in of the
# tests, and tensorflow_model_server if it is on PATH or TFDECODE_MODEL_SERVER names it.
e2e: $(VENV)/installed
	$(PYTEST) tests/client tests/examples tests/serving

# The same tests, then the lines that none of them ran.
coverage:
	rm -rf build/coverage
	mkdir -p build/coverage
	$(MAKE) pytest PYTEST="$(RUN) -m coverage run -m pytest"
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report

lint: $(VENV)/installed
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

types: $(VENV)/installed
	$(RUN) -m mypy

# What is published, installed without extras as a user without TensorFlow installs it.
build: $(VENV)/installed
	rm -rf dist build/empty
	$(RUN) -m build --outdir dist . > /dev/null
	$(PYTHON) -m venv build/empty
	build/empty/bin/python -m pip install --quiet --disable-pip-version-check dist/*.whl
	cd build/empty && bin/python -I ../../.ci/check_wheel.py ../../dist
	cd build/empty && bin/tfdecode --help > /dev/null

# serving_pb2.py from serving.proto. What the compiler of 1.62 makes is imported by protobuf 3.20 to
# 7.36; what a newer one makes needs a protobuf of its own age.
protos:
	$(PYTHON) -m venv build/protos
	build/protos/bin/python -m pip install --quiet --disable-pip-version-check 'grpcio-tools==1.62.*' 'setuptools<80'
	build/protos/bin/python -m grpc_tools.protoc -I. --python_out=. tfdecode/client/proto/serving.proto

# Spark from its wheel, with the machine's Java, and other engines, with what dies in each of them.
# Each in a process of its own: one that has Spark Connect cannot have another Spark. Beam in an
# environment of its own: it needs an older protobuf.
test-bulk:
	$(PYTHON) -m venv build/engines
	$(PYTHON) -m venv build/beam
	build/engines/bin/python -m pip install --quiet --disable-pip-version-check pytest hypothesis --editable '.[bulk]' 'pyspark[sql,connect]>=4' distributed ray
	build/beam/bin/python -m pip install --quiet --disable-pip-version-check pytest hypothesis --editable '.[bulk]' apache-beam
	for engine in spark spark_source connect dask ray; do build/engines/bin/python -m pytest -p no:cacheprovider tests/bulk/engines/test_$$engine.py || exit 1; done
	build/beam/bin/python -m pytest -p no:cacheprovider tests/bulk/engines/test_beam.py

# Exports of this TensorFlow in older ones, whose wheels it installs. Takes 20 minutes and 8 GB.
test-versions: $(VENV)/installed
	$(RUN) -m tests.versions $(VERSIONS)

bench: $(VENV)/bench
	$(RUN) -m benchmarks

clean:
	rm -rf $(VENV) build dist *.egg-info
