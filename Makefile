# Two commands do everything: `make up` runs the system, `make test` proves it. Both set up what they need.

PY := .venv/bin/python
BENCHES := quality throughput latency freshness chunking hall documents answers languages webhooks vault agents sockets takeover
# Files of tests go to as many processes as this says, in the order of their folders: whole systems first, units last.
TEST_PROCESSES ?= 2
PYTEST := $(PY) -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 \
    --durations 20 --durations-min 5
UV_COMPILE := uv pip compile --universal --generate-hashes --no-emit-index-url --no-annotate --no-header -q

# Where the machine forbids bytecode every process would compile the code anew: seconds at each start.
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help up demo test test-full test-vault check format lock env-example artefacts clean runtime dev bench bench-peers-install $(BENCHES:%=bench-%)

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

up: runtime ## Start the whole system and keep it running (DEMO=0: without the demo); Ctrl-C stops it
	@$(PY) -m server up

demo: runtime ## Run the demo against the running system
	@$(PY) -m server demo

test: dev ## Run the tests
	$(PYTEST) -m "not slow"

test-full: dev ## Run the tests and those that take long
	$(PYTEST)

test-vault: dev ## Try the store of secrets on a real vault or bao (VAULT_ADDR, or a binary on PATH)
	@deploy/local/test-vault.sh $(PY)

check: dev ## Lint, types, contracts and architecture
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	.venv/bin/lint-imports
	$(PY) -m pytest -q tests/architecture

format: dev ## Put the code into its form
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

env-example: runtime ## Write .env.example from the settings
	$(PY) -m server env-example > .env.example

artefacts: dev ## Write docs/api from the code: the OpenAPI document and the catalogue of errors
	@$(PY) -m server artefacts

bench: $(BENCHES:%=bench-%) ## Print every published figure (BENCH='--data DIR' passes arguments on)

$(BENCHES:%=bench-%): bench-%: dev
	$(PY) -m benchmarks.$* $(BENCH)

bench-peers-install: runtime ## Install the peers that bench-throughput compares with (700 MB in .venv-peers)
	$(PY) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r benchmarks/peers/requirements.txt

lock: ## Resolve the requirements anew (needs uv)
	$(UV_COMPILE) pyproject.toml -o requirements.lock
	$(UV_COMPILE) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	echo uv | $(UV_COMPILE) - -o requirements-uv.lock

clean: ## Remove the environment and caches; data folders stay
	rm -rf .venv .venv-peers .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

runtime dev:
	@deploy/local/environment.sh $@
