# The front door. Needs only Python 3.11+, pip and make; uv is used if it is there.
# make demo, make test, make lint, make clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-out

.PHONY: demo test lint clean environment

environment: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "rerad: making the environment in $(VENV) (once; a minute or two)"
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"rerad needs Python 3.11 or newer, this is {v.major}.{v.minor}; name another with: make PYTHON=python3.12")'
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv --quiet --allow-existing --python $(PYTHON) $(VENV) && \
	  uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --editable '.[dev]'; \
	else \
	  $(PYTHON) -m venv $(VENV) && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'; \
	fi
	@touch $@

# Exit code 3 says "done, but a limit is exceeded": for the published case that is the finding.
demo: environment
	@$(BIN)/rerad demo --out $(OUT) || { code=$$?; test $$code -eq 3 && \
	  echo "rerad: done; a cumulative limit is exceeded, as the table says (exit code 3)"; }

test: environment
	@echo "rerad: running every test"
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup

lint: environment
	@echo "rerad: lint, format, types, import contracts"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

clean:
	rm -rf $(OUT) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
