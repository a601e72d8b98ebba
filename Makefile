# The developer's and the reader's commands. `make` alone lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.SUFFIXES:

DEBIAN ?=
SCENARIO ?= default
VENV := .venv
LAB := molecule/shared/lab.sh
# Tools are found through PATH, as Molecule does it. The checkout's own Molecule notes: two checkouts never share them.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
export PYTHONPATH := $(CURDIR)/.collections
export DEBIAN

unexport MAKEFLAGS

# Which release lb1/web1 and the other nodes run; Molecule reads the two variables.
define releases
read -r HITLESS_DEBIAN_LB1 HITLESS_DEBIAN_LB2 <<<"$$($(LAB) releases)"
export HITLESS_DEBIAN_LB1 HITLESS_DEBIAN_LB2
endef

.PHONY: help
help: ## List the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	echo "  DEBIAN=12|13|mixed chooses the lab's release (lab, molecule); SCENARIO=name the scenario (molecule)"

# --- The environment --------------------------------------------------------------------------------------------------------
$(VENV)/.ready: requirements-dev.txt
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed, as python3" >&2; exit 1; }
	if ! python3 -m venv --clear $(VENV) >/dev/null 2>&1 || ! $(VENV)/bin/python -m pip --version >/dev/null 2>&1; then
	  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	    echo "venv: installing python3-venv"
	    apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y python3-venv >/dev/null
	    python3 -m venv --clear $(VENV)
	  else
	    echo "python3 -m venv doesn't work: install python3-venv" >&2; exit 1
	  fi
	fi
	started=$$SECONDS
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	mkdir -p .collections/ansible_collections/hitless
	ln -sfn ../../.. .collections/ansible_collections/hitless/lb
	touch $@
	echo "venv: made in $$((SECONDS - started)) s"

# --- The lab ------------------------------------------------------------------------------------------------------------------
.PHONY: lab
lab: $(VENV)/.ready ## Make the lab, run the site playbook on it and show the proof
	@$(releases)
	$(LAB) ready
	if ! $(LAB) running; then
	  export MOLECULE_EPHEMERAL_DIRECTORY=$(CURDIR)/.cache/molecule/default
	  molecule create --scenario-name default
	fi
	ansible-playbook site.yml
	$(LAB) proof

.PHONY: lab-down
lab-down: ## Remove the lab's containers and network
	@$(LAB) down

# --- The checks ----------------------------------------------------------------------------------------------------------------
.PHONY: lint
lint: $(VENV)/.ready ## Linters, types, documentation in step with the specs
	@python tools/lint.py

.PHONY: unit
unit: $(VENV)/.ready ## Unit tests and the guards over the tree
	@pytest -q -n2 tests/unit

.PHONY: sanity
sanity: $(VENV)/.ready ## ansible-test sanity
	@python tools/sanity.py

.PHONY: build
build: $(VENV)/.ready ## Build the tarball, import it as Galaxy would, install it into an empty directory
	@python tools/build.py

.PHONY: molecule
molecule: $(VENV)/.ready ## One Molecule scenario: SCENARIO=default
	@$(releases)
	$(LAB) take-down
	export MOLECULE_EPHEMERAL_DIRECTORY=$(CURDIR)/.cache/molecule/$(SCENARIO)
	molecule test --scenario-name $(SCENARIO)

.PHONY: test
test: $(VENV)/.ready ## Every test, from the linters to Molecule
	@python tools/test.py

.PHONY: bench
bench: $(VENV)/.ready ## Measure: a large haproxy.cfg, cold and unchanged site.yml, requests/s straight and through the VIP
	@$(releases)
	python tools/bench.py

.PHONY: clean
clean: ## Remove the lab, its images and everything that was made in the checkout
	@if command -v docker >/dev/null && docker info >/dev/null 2>&1; then $(LAB) clean; fi
	rm -rf $(VENV) .collections .cache .lab .ansible .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
