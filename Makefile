# What people and machines run. It is installed into .venv and node_modules, and again only when a lock file changed.

# Containers often forbid it, and every process of ours would then compile again what the one before has compiled.
export PYTHONDONTWRITEBYTECODE :=

VENV := .venv
python := $(VENV)/bin/python
installed := $(VENV)/.installed node_modules/.installed
is_new_enough := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c '$(is_new_enough)' 2>/dev/null && echo $$name && break; done)

.PHONY: demo pure quick test check types-of-pages format faults soak faults-mutants bench fuzz diagram contracts lock clean

demo: $(installed)
	@$(python) -m bot demo

# Tests wait more than they work, hence one more of them at a time than two cores.
spread := -n 3 --dist worksteal
tested := @chromium=$$(scripts/chromium) && JANJI_CHROMIUM=$$chromium $(python) -m pytest

# The rooms that decide, without anything of the shell: two seconds.
pure: $(installed)
	@$(python) -m pytest tests/conversations tests/matching tests/together --confcutdir=tests/conversations $(ARGS)

# Everything but what is marked as slow, one story in the browser included: what one runs all day.
quick: $(installed)
	$(tested) -m "not slow" $(or $(ARGS),$(spread))

# Every test. make test ARGS="tests/bot -k settings" runs some of them.
test: $(installed)
	$(tested) $(or $(ARGS),-m "not timed" $(spread))
	$(if $(ARGS),,$(tested) -m timed)

check: $(installed)
	$(python) -m ruff format --check
	$(python) -m ruff check
	$(python) -m mypy
	@$(MAKE) --no-print-directory types-of-pages
	@$(MAKE) --no-print-directory test

# The pages have no build step: what their comments say of types is read here, and only here.
types-of-pages: $(installed)
	npx --no-install tsc -p bot/pages
	npx --no-install tsc -p bot/pages/device/tsconfig.worker.json

format: $(VENV)/.installed
	$(python) -m ruff format
	$(python) -m ruff check --fix

# Five minutes of stories while everything fails: make faults SEED=7 SECONDS=60 does it again, and shorter.
faults: $(installed)
	@$(python) -m tests.faults --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED)) $(ARGS)

# Half an hour of two hundred clients while a process dies every five seconds; memory, tasks and files stay level.
soak: $(installed)
	@$(python) -m tests.faults --soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

# One guard after the other is taken out, and something must notice: make faults-mutants ARGS="look cursor" takes some.
faults-mutants: $(installed)
	@$(python) -m tests.faults --seed $(or $(SEED),1) --mutants $(ARGS)

# make bench ARGS="--quick chat idle" measures some of it.
bench: $(installed) benchmarks/peers/node_modules/.installed
	@$(python) -m benchmarks $(ARGS)

# make fuzz ARGS="--seed 7 --cases 20000" repeats a seed, or does less.
fuzz: $(installed)
	@$(python) -m tests.fuzz $(ARGS)

diagram: $(VENV)/.installed
	@$(python) -m bot diagram

contracts: $(VENV)/.installed
	@$(python) -m bot contracts

compile := $(python) -m uv pip compile --quiet --generate-hashes --no-emit-index-url --no-emit-find-links --universal \
	--python-version 3.11 --custom-compile-command "make lock" pyproject.toml

# make lock ARGS=--upgrade takes newer versions.
lock: $(VENV)/.installed
	@$(python) -m uv --version >/dev/null 2>&1 || $(python) -m pip install --quiet uv
	$(compile) $(ARGS) --output-file requirements.txt
	$(compile) $(ARGS) --extra dev --output-file requirements-dev.txt

# What can be made again; the data in .janji cannot.
clean:
	rm -rf $(VENV) node_modules benchmarks/peers/node_modules artefacts build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.installed: requirements-dev.txt
	@$(or $(PYTHON),false) -c '$(is_new_enough)' || \
		{ echo "Janji needs Python 3.11 or newer: install it, or say where it is with make PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(python) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

node_modules/.installed: package-lock.json
	@command -v npm >/dev/null || \
		{ echo "Janji's pages need Node.js 20 or newer, with npm: install it." >&2; exit 1; }
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

benchmarks/peers/node_modules/.installed: benchmarks/peers/package-lock.json
	npm ci --prefix benchmarks/peers --no-audit --no-fund --loglevel=error
	@touch $@
