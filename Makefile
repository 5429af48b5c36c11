# Everything the project can do. A fresh machine needs Python 3.11+ and make; each target sets up what it needs.
# Extra words go through ARGS, e.g. make demo ARGS="--once --json".

.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
UV := $(shell command -v uv 2>/dev/null)
SOURCES := newsletter subscribers tests
export UV_PYTHON_DOWNLOADS := never
ifdef CI
PYTEST_WORKERS := 2
else
PYTEST_WORKERS := auto
endif

# npm leaves the pages where packages ask for money in the lock.
define without_hosts
const file = "package-lock.json", lock = JSON.parse(fs.readFileSync(file)); \
for (const one of Object.values(lock.packages)) delete one.funding; \
fs.writeFileSync(file, JSON.stringify(lock, null, 2) + "\n")
endef

.PHONY: help demo serve test soak check format bench pictures lock clean

help:  ## Show this list
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

demo: $(VENV)/.service  ## Render and deliver a sample issue to a local SendGrid
	@$(BIN)/newsletter demo $(ARGS)

serve: $(VENV)/.service  ## Run the service on this machine
	@$(BIN)/newsletter init
	@$(BIN)/newsletter serve $(ARGS)

test: $(VENV)/.development  ## Run the whole test suite
	@sh tests/install-referees.sh
	@$(BIN)/pytest -n $(PYTEST_WORKERS) --dist worksteal $(ARGS)

# KILLS: how often the service is killed; LEDGER_STEPS: how far the state machine over the ledger goes;
# KILL_EVENTS: how many of SendGrid's events stream in while it is killed a few times.
soak: $(VENV)/.development  ## Kill the service a thousand times, and walk the ledger for hours
	@KILLS=$${KILLS:-1000} LEDGER_STEPS=$${LEDGER_STEPS:-200000} $(BIN)/pytest --timeout 0 -s \
	  -k "kill_loop or crash_sweep or ledger_machine" $(ARGS)
	@KILL_EVENTS=$${KILL_EVENTS:-100000} $(BIN)/pytest --timeout 0 -s -k kill_feedback $(ARGS)

check: $(VENV)/.development  ## Lint, types and floors
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet $(SOURCES)
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo > .lint-imports.log || { cat .lint-imports.log; rm -f .lint-imports.log; exit 1; }
	@rm -f .lint-imports.log
	@echo "check: formatted, linted, typed, and every import keeps its floor"

format: $(VENV)/.development  ## Format the code
	@$(BIN)/ruff check --quiet --fix-only $(SOURCES)
	@$(BIN)/ruff format --quiet $(SOURCES)

bench: $(VENV)/.development  ## Measure the main paths
	@$(BIN)/python tests/bench.py $(ARGS)

pictures: $(VENV)/.development  ## Make the pictures of the docs anew
	@sh tests/install-referees.sh
	@PYTHONPATH=. $(BIN)/python tests/pictures.py

lock:  ## Compile the locked requirements anew (needs uv and npm)
	@for set in build:service dev:development; do \
	  uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	    --no-annotate pyproject.toml --extra $${set%%:*} -o requirements/$${set##*:}.txt; \
	done
	@cd tests/node && npm install --package-lock-only --omit-lockfile-registry-resolved --loglevel=error \
	  --no-audit --no-fund
	@cd tests/node && node -e '$(without_hosts)'

clean:  ## Remove the environment and every cache
	rm -rf $(VENV) tests/node/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/.service: requirements/service.txt pyproject.toml
	@$(call install,requirements/service.txt)
	@touch $@

$(VENV)/.development: requirements/development.txt pyproject.toml
	@$(call install,requirements/development.txt)
	@touch $@ $(VENV)/.service

# With uv where it is at hand, else with the tools that Python brings. Hashes are checked; the package itself is
# installed from the tree, by the build tool that the lock names.
ifdef UV
define install
	echo "Setting up $(VENV) (once; a minute or so) …"; \
	{ test -x $(BIN)/python || uv venv --quiet --python $(PYTHON) $(VENV); } && \
	uv pip install --quiet --python $(BIN)/python --require-hashes -r $(1) && \
	uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
endef
else
define install
	echo "Setting up $(VENV) (once; a minute or two) …"; \
	{ test -x $(BIN)/python || $(PYTHON) -m venv $(VENV); } && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(1) && \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
endef
endif
