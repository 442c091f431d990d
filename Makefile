# Everything from a bare checkout: `make demo` and `make test` make their own environment first.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: setup demo demo-distributed test quick smoke measure check types audit peers lock clean

setup: $(READY)

$(READY): requirements.lock setup.py setup.cfg pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14) and "Python 3.10 to 3.13 is needed; name one with: make PYTHON=python3.11")'
	@test ! -L .venv || { echo ".venv is a link; emptying it would empty the environment that it leads to. Remove the link, or run make where the environment is."; exit 2; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

demo: setup
	$(BIN)/python -m bench.demo

# Two processes: each loads TensorFlow, so more want more memory; what a file's tests share stays with one mostly.
test: setup
	$(BIN)/python -m pytest -n 2 --dist worksteal

# On several processes, as on several machines: a build by two workers of Dask, a training by two processes.
demo-distributed: setup
	examples/distributed.sh

# What one wants to know after an edit, within a minute: style, types, and tests that need no photographs.
QUICK := front/test_cli.py front/test_front_door.py pipeline/test_settings.py pipeline/test_draws.py \
	pipeline/test_waiting.py model/test_metrics.py bench/test_docs.py

quick: setup
	$(BIN)/ruff check --quiet .
	$(MAKE) --no-print-directory types
	$(BIN)/python -m pytest -n 2 $(addprefix tests/,$(QUICK)) --deselect tests/pipeline/test_waiting.py::test_the_thread_ends_with_python

# Ratios of speeds within one run, with generous floors.
smoke: setup
	$(BIN)/python -m bench.smoke

# All rows and tables of README.md and docs/, from the dataset in DATA_DIR, those of trained networks if WEIGHTS names a
# file; see the script.
measure: setup
	WEIGHTS="$(WEIGHTS)" bench/measure.sh $(or $(DATA_DIR),data) "$(MANUAL_DIR)"

check: setup
	$(BIN)/pre-commit run --all-files

# mypy sees the package as it is installed: the rooms inside of it.
types: setup
	@rm -rf .venv/types && mkdir -p .venv/types && cp -rs $(CURDIR)/sentiflow .venv/types/
	@ln -s $(addprefix $(CURDIR)/,builders pipeline model bench) .venv/types/sentiflow/
	@$(BIN)/mypy

# What is known of the pinned versions to be unsafe, as PyPI's advisories say.
audit: setup .peers/uv/.ready
	.peers/uv/bin/uv tool run --quiet pip-audit==2.10.1 --require-hashes --disable-pip --requirement requirements.lock

# Other loaders for the benchmark, an environment for each; one that fails says why and does not stop the others. uv
# links what several need, such as torch, instead of copying it.
peers: setup .peers/uv/.ready
	-$(MAKE) --keep-going --no-print-directory $(patsubst bench/environments/%.txt,.peers/%/.ready,$(wildcard bench/environments/*.txt))

.peers/uv/.ready:
	$(BIN)/python -m venv --clear .peers/uv
	.peers/uv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
	touch $@

.peers/%/.ready: bench/environments/%.txt .peers/uv/.ready
	rm -f $@
	.peers/uv/bin/uv venv --quiet --clear --python $(BIN)/python .peers/$*
	.peers/uv/bin/uv pip install --quiet --python .peers/$*/bin/python --requirement $<
	touch $@

# Renews the pinned, hashed versions for every supported Python.
lock: setup .peers/uv/.ready
	.peers/uv/bin/uv pip compile setup.cfg --extra dev --universal --python-version 3.10 --generate-hashes --no-annotate --no-header --upgrade --quiet --output-file requirements.lock

clean:
	rm -rf .venv .peers build *.egg-info demo
