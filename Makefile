# The commands of a newcomer: `make demo` and `make test`. README.md says what they need.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo run test check fuzz faults soak bench baseline screenshots
export PORT TORCH_INDEX_URL
PYTHON := .venv/bin/python
FUZZ_SECONDS ?= 60
SECONDS ?= 600
# A file's tests stay together, for many share what took long to start; in our order, quick ones first.
TEST_PROCESSES ?= --numprocesses=auto --maxprocesses=4 --dist=loadfile --no-loadscope-reorder

help:
	@echo 'make demo      install, start everything, fill in and score a demo competition (Ctrl-C stops it)'
	@echo 'make run       the same without demo data'
	@echo 'make test      install what the tests need and run them'
	@echo 'make fuzz      throw bent files at the readers of uploads for a minute: FUZZ_SECONDS=600'
	@echo 'make faults    break every part of a running platform, 100 submissions: half an hour or more'
	@echo 'make soak      live under kills and restarts for ten minutes: SECONDS=86400'
	@echo 'make check     style, types, import rules, templates, translations, missing migrations'
	@echo 'make bench     measure this machine, and this project beside other tools: ARGS=--help'
	@echo 'make screenshots  take a picture of every page into var/screenshots'
	@echo 'make baseline  train the shipped baseline and its discriminator again'

demo: LAUNCH_OPTIONS := --demo
demo: run

run:
	@scripts/system-packages run
	@scripts/install demo
	@exec $(PYTHON) -m arena.launch $(LAUNCH_OPTIONS)

test:
	@scripts/system-packages test
	@scripts/install test
	@scripts/browser
	@exec $(PYTHON) -m pytest $(TEST_PROCESSES) $(ARGS)

fuzz:
	@scripts/install test
	@ARENA_FUZZ_SECONDS=$(FUZZ_SECONDS) exec $(PYTHON) -m pytest --timeout=0 -q -s tests/fuzzing $(ARGS)

faults:
	@scripts/system-packages test
	@scripts/install test
	@ARENA_FAULTS_FULL=1 exec $(PYTHON) -m pytest --timeout=0 -q -s tests/faults $(ARGS)

soak:
	@scripts/system-packages test
	@scripts/install test
	@PYTHONPATH=.:platform exec $(PYTHON) -m tests.faults.soak $(SECONDS)

check:
	@scripts/install test
	@scripts/check

bench:
	@scripts/install bench
	@exec $(PYTHON) -m scripts.bench $(ARGS)

baseline:
	@scripts/install demo
	@exec $(PYTHON) manage.py train_baseline

screenshots:
	@scripts/system-packages test
	@scripts/install test
	@scripts/browser
	@exec $(PYTHON) scripts/screenshots.py $(ARGS)
