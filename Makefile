# Every target works as the only command on a fresh clone: the environment is made on demand.
V := .venv
BIN := $(V)/bin
PYTHON ?= python3
.DEFAULT_GOAL := help
# The tests start the command line hundreds of times: without bytecode each would compile it anew.
unexport PYTHONDONTWRITEBYTECODE
.PHONY: help run test check browser format bench docs screenshots faults fuzz lock clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(V)

$(V)/.ready: pyproject.toml requirements/uv.txt requirements/dev.txt | $(BIN)/python
	$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip sync -q --compile-bytecode --only-binary pysqlite3 --python $(BIN)/python --require-hashes requirements/dev.txt
	$(BIN)/uv pip install -q --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

run: $(V)/.ready ## Start a demo: the server, an example API and three API clients
	@$(BIN)/hourpass demo

check: $(V)/.ready ## Lint, format check, types, dependency rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

test: check browser ## Everything that CI runs
	$(BIN)/python -m pytest -n 3 --dist loadgroup

browser:
	@for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; \
	else echo "Install Chromium for the browser tests: sudo apt-get install chromium"; exit 1; fi

format: $(V)/.ready ## Rewrite the sources as ruff wants them
	$(BIN)/ruff check -q --fix . || true
	$(BIN)/ruff format -q .

bench: $(V)/.ready ## Measure; writes the pages and the chart in bench/ and the README's table
	@command -v wrk >/dev/null || { [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq wrk; }
	PYTHONPATH=.:tests $(BIN)/python -m bench

screenshots: $(V)/.ready browser ## Make the pictures of docs/ and README anew
	PYTHONPATH=tests $(BIN)/python tests/docs/screenshots.py

faults: $(V)/.ready ## Hard faults, as root; writes faults/results.md when all could be run
	faults/run

fuzz: $(V)/.ready ## Fuzz every parser, a minute each (SECONDS=60)
	$(BIN)/uv pip install -q --python $(BIN)/python --target $(V)/fuzz --require-hashes -r fuzz/requirements.txt
	for target in form form_with_basic json_body basic_header scope_parameter jws claims; do \
		PYTHONPATH=.:$(V)/fuzz $(BIN)/python -m fuzz.run $$target $(or $(SECONDS),60) || exit 1; done

docs: $(V)/.ready ## Make docs/settings.md and docs/conformance.md anew
	$(BIN)/python tests/docs/generated_docs.py

lock: $(V)/.ready ## Pin all dependencies anew, with hashes
	echo "uv==$$($(BIN)/uv --version | cut -d' ' -f2)" | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header - -o requirements/uv.txt
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --extra server --group dev pyproject.toml -o requirements/dev.txt
	$(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -c requirements/dev.txt --extra server --extra otel pyproject.toml -o requirements/server.txt
	echo hatchling | $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header -c requirements/dev.txt - -o requirements/build.txt

clean: ## Remove what the targets above made
	rm -rf $(V) .mypy_cache .ruff_cache .import_linter_cache .hypothesis
