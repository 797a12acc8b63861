# HyperStream Mesh. `make run` and `make test` need nothing but Python 3.11, make and git; each sets up what it needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
ONLY   ?=
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
PROFILE ?= small

.DEFAULT_GOAL := help
.PHONY: help setup docs reference run ui stack-up stack-up-docker stack-down-docker images run-sim api ready test unit lint audit sbom format bench train servers \
	triton-env mlflow-env constraints clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.core  ## Make the environment (core install)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[dev,torch,tensorflow,train,features,backfill,postgres,console,otel,docs]'
	@touch $@ $(VENV)/.core $(VENV)/.ui

run: $(VENV)/.ui  ## Start everything, feed real telemetry, show a live view; Ctrl-C drains
	@exec $(BIN)/hyperstream up

stack-up: $(VENV)/.core  ## The mesh and all that it needs, without a feed
	@exec $(BIN)/hyperstream up --no-feed

stack-up-docker:  ## The same in containers; PROFILE=full adds S3, Prometheus, Grafana and traces
	MESH_FEATURES_HISTORY=$(if $(filter full,$(PROFILE)),s3://hyperstream/features) \
	MESH_TAG=$(VERSION)$(if $(filter full,$(PROFILE)),-full) MESH_TARGET=$(if $(filter full,$(PROFILE)),full,slim) \
	docker compose --profile $(PROFILE) up --build --detach --wait --wait-timeout 600
	docker compose --profile $(PROFILE) ps

stack-down-docker:  ## Drain and end them; what they keep stays in their volumes
	docker compose --profile full down --timeout 30

images:  ## Build the container images, slim and full
	docker build --target slim --tag hyperstream-mesh:$(VERSION) .
	docker build --target full --tag hyperstream-mesh:$(VERSION)-full .

run-sim: $(VENV)/.core  ## Simulate a fleet with faults into a running stack; SCENARIO=drift SPEED=1x choose
	@exec $(BIN)/hyperstream simulate --scenario $(or $(SCENARIO),level-shift) --speed $(or $(SPEED),10x)

ui: $(VENV)/.ui  ## The console over a mesh that runs, port 8501 (make run starts it too)
	@exec $(BIN)/hyperstream console

$(VENV)/.ui: $(VENV)/.core
	$(PIP) --editable '.[console,features]'
	@touch $@

api: $(VENV)/.core  ## The HTTP and gRPC side alone: no broker, no Redis, no feed
	@exec $(BIN)/hyperstream up --no-feed --no-stream

servers:
	@bash tests/servers.sh

triton-env: .venv-triton/.ready

.venv-triton/.ready: | servers
	@if [ -x /usr/bin/python3 ] && /usr/bin/python3 -m venv .venv-triton && .venv-triton/bin/pip install --quiet --disable-pip-version-check nvidia-pytriton; \
	then touch $@; else echo "no Triton environment: its tests are skipped (Debian: apt-get install python3-venv libpython3.11)"; fi

mlflow-env: .venv-mlflow/.ready

.venv-mlflow/.ready: | $(VENV)/bin/python
	@if $(PYTHON) -m venv .venv-mlflow && .venv-mlflow/bin/pip install --quiet --disable-pip-version-check mlflow onnx onnxruntime; \
	then touch $@; else echo "no MLflow environment: its tests are skipped"; fi

# Downloads wait for the network and packages are unpacked meanwhile: together they take half the time.
ready: $(VENV)/.dev servers triton-env mlflow-env

test:  ## Set up and run every test
	@$(MAKE) --no-print-directory --jobs 4 --output-sync ready
	$(BIN)/python -X faulthandler -m pytest -n 2 --dist loadscope $(TESTS)

unit: $(VENV)/.dev  ## The tests that take milliseconds
	$(BIN)/python -m pytest tests/unit tests/property

lint: $(VENV)/.dev  ## Lint, format, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

audit: $(VENV)/.dev  ## Known vulnerabilities of every pinned package; skipped, and said, without a network
	@bash .ci/audit $(BIN)/pip-audit

# In an environment of its own: what it validates with (rfc3987-syntax) compiles a grammar in every process that imports Ray, 2 s each.
.venv-sbom/.ready: constraints.txt
	$(PYTHON) -m venv .venv-sbom
	.venv-sbom/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt cyclonedx-bom
	@touch $@

sbom: $(VENV)/.dev .venv-sbom/.ready  ## A bill of materials of every package of the environment: build/sbom.json (CycloneDX)
	@mkdir -p build
	.venv-sbom/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --of JSON -o build/sbom.json $(BIN)/python

bench: $(VENV)/.dev servers  ## Measure against the peers; ONLY=http runs a part
	$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

docs: $(VENV)/.dev  ## Build the site into build/site; a page that is missing or linked wrongly fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

reference: $(VENV)/.dev  ## Make the pages and schemas that come from the code anew
	$(BIN)/python -m mesh.spec.schema
	$(BIN)/python -m mesh.telemetry.page
	$(BIN)/python -m serve.reference

train: $(VENV)/.dev  ## Train the shipped ONNX models again
	$(BIN)/hyperstream train-samples
	$(BIN)/hyperstream train degradation
	$(BIN)/hyperstream train anomaly

constraints: $(VENV)/.dev .venv-sbom/.ready
	( echo "# Every package that the project installs, pinned. Made from a clean environment with: make constraints"; \
	  for each in $(BIN) .venv-sbom/bin; do $$each/pip freeze --exclude-editable; done | sed 's/+cpu$$//' | sort -fu ) > constraints.txt

clean:
	rm -rf $(VENV) .venv-triton .venv-mlflow .venv-sbom build .pytest_cache .mypy_cache .ruff_cache .hypothesis .run
