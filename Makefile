# make demo   the main job end to end        make test    all tests
# make quick  the tests that are cheap and need no peer: before each commit
# make setup  the environment, .venv         make lint    ruff and mypy
# make bench  the benchmarks                 make lock    pin the dependencies anew
# make viewer OHIF, for the tests that look at results in a browser (needs npm)
# make parity how far each network is from torchxrayvision's, as a table: docs/parity.md
# make decoders the decoders of pixel data beside the truth: docs/decoders.md
# make man    the manual page and the completion of shells, from the commands: share/
# make json   what the commands print as JSON: docs/json.md
# make conformance the tables of the DICOM conformance statement: docs/conformance.md

# The project's own uv: a fresh machine has none, and pip may take a torch build that no torchvision matches.
UV := .tools/bin/uv
PYTHON ?= python3
BIN := .venv/bin
export UV_NO_CONFIG := 1

.PHONY: setup demo test quick lint bench parity decoders json man conformance viewer lock clean

setup: .venv/ready

$(UV):
	@echo "setting up .tools and .venv, once"
	@$(PYTHON) -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check uv

.venv/ready: requirements-dev.lock pyproject.toml | $(UV)
	@test -x $(BIN)/python || $(UV) venv --quiet --python $(PYTHON) .venv
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements-dev.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup
	$(BIN)/xrv-node demo

# A file of tests each, the dearest first; three processes for two cores, as many tests wait for peers. TESTS=... for
# some of them.
SIDE_BY_SIDE := --dist loadfile --no-loadscope-reorder
test: setup
	$(BIN)/python -m pytest --numprocesses 3 $(SIDE_BY_SIDE) $(TESTS)

# What a test costs stands in tests/measured.txt; `pytest --measure` writes it anew.
quick: setup
	$(BIN)/python -m pytest --quiet --numprocesses 2 $(SIDE_BY_SIDE) -m "not slow and not peers"

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	@for file in tests/bench/bench_*.py; do $(BIN)/python $$file || exit 1; done

parity: setup
	$(BIN)/python tests/models/parity.py docs/parity.md

decoders: setup
	PYTHONPATH=. $(BIN)/python tests/radiograph/decoders_table.py docs/decoders.md

man: setup
	PYTHONPATH=. $(BIN)/python tools/manual.py share

json: setup
	PYTHONPATH=. $(BIN)/python tests/docs/json_document.py docs/json.md

conformance: setup
	PYTHONPATH=tests $(BIN)/python tests/conformance/conformance_tables.py docs/conformance.md

OHIF := 3.13.2
viewer: .tools/ohif-$(OHIF)/dist/index.html

# The package holds a ready build. --no-same-owner: its files belong to whoever packed it.
.tools/ohif-$(OHIF)/dist/index.html:
	@mkdir -p .tools/ohif-$(OHIF)
	@cd .tools && npm pack --silent @ohif/app@$(OHIF) >/dev/null
	@tar --extract --gzip --no-same-owner --file .tools/ohif-app-$(OHIF).tgz --directory .tools/ohif-$(OHIF) --strip-components=1
	@rm .tools/ohif-app-$(OHIF).tgz
	@touch $@

LOCK := $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11
lock: | $(UV)
	$(LOCK) --upgrade pyproject.toml --extra fhir --extra oidc -o requirements.lock
	$(LOCK) --constraint requirements.lock pyproject.toml --extra lab --extra fhir --extra oidc --group dev -o requirements-dev.lock

clean:
	rm -rf .venv .tools demo-results
