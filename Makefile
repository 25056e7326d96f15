# `make` sets everything up; `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
# The recipes share one environment and one build folder.
.NOTPARALLEL:

# The Python that the environment is made with.
PYTHON ?= python3
# LeRobot wants this one.
LEROBOT_PYTHON ?= python3.12
# Sourced by every recipe that runs something; setup files of ROS use variables that may be unset.
ENTER := set +u; . env/setup.bash; set -u
# `make train SET="..."` adds settings; `python -m training.train small-clone --help` lists them.
SET ?=
# A folder of its own, so that a `colcon build` of yours in this checkout and `make` do not overwrite each
# other's files: colcon cannot mix an install space with links and one without.
COLCON := .colcon
# `make demo ROBOT=lift` runs robosuite's Lift, `ROBOT=joint` the same with its joints commanded,
# `ROBOT=play` the cube with a policy that was learned from play and improved on the robot,
# `ROBOT=visual` the cube with a policy that sees a picture in place of the cube's pose, `ROBOT=scene`
# a drawer and a window, which it unlocks, closes and locks, with a policy that was learned from play.
ROBOT ?= cube
# `make demo VIEW=rerun` shows it in Rerun, too, and `VIEW=lines` prints lines alone.
VIEW ?= auto
# `make learn LEARN=results/other SET="--seed 1"` is another session.
LEARN ?= results/learn
# `make soak SOAK="--minutes 10 --interval 10"` is a shorter one; --fifo asks for real-time priority.
SOAK ?=
# `make fuzz MINUTES=60` is a longer one.
MINUTES ?= 10
# `make test PYTEST="-k spec"` runs a part.
PYTEST ?=

# Tests that run no node and train nothing.
FAST_TESTS := $(addprefix test/, core package/test_spec.py package/test_settings.py tools/bags \
  tools/replay/test_replayer.py tools/preflight/test_preflight_verdict.py \
  tools/preflight/test_preflight_report.py tools/preflight/test_preflight_measurements.py)
# Tests that need only ROS and numpy, as on a robot.
KILTED_TESTS := $(addprefix test/, whole_node/test_policy_node.py node/ros/test_qos_monitor.py \
  whole_node/test_ros_conventions.py tools/preflight/test_preflight.py node/ros/test_node_main.py \
  node/messages/test_source_reader.py node/messages/test_command_writer.py package/test_settings.py)

.PHONY: help build env audit-env sweep-env view-env demo test test-fast test-all test-kilted list-robot-tests wheel test-lerobot interop-env interop licences sbom lint docs docs-pages docs-env docs-links train learn bench bench-quick gpu soak fuzz clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# colcon runs in the environment's Python, whichever it was installed for: the nodes' commands get
# the interpreter of colcon.
build: env ## environment and package (the default target; quick the second time)
	@$(ENTER); python "$$(command -v colcon)" --log-base $(COLCON)/log build --symlink-install \
	  --base-paths . --build-base $(COLCON)/build --install-base $(COLCON)/install

env: ## the virtual environment alone
	@$(PYTHON) env/install.py

sweep-env: env ## add Ray to the environment, for sweeps (training/sweep.py)
	@$(ENTER); python -m pip install --constraint env/constraints.txt \
	  --requirement env/requirements-sweep.txt

# Without its dependencies: it asks for NumPy 2, works with the one that is installed, and everything
# else that it asks for is there.
view-env: env ## add Rerun to the environment, for VIEW=rerun and `ros2 run dfp_ros view --rerun`
	@$(ENTER); python -m pip install --no-deps --requirement env/requirements-view.txt

demo: build ## a shipped policy drives a simulated arm over ROS 2, 10 episodes (ROBOT=cube, visual, play, scene, lift, joint)
	@$(ENTER); exec python -m dfp_ros.sim.demo.main --robot $(ROBOT) --view $(VIEW)

test: build lint ## lint, then every test, long checks in their short versions
	@$(ENTER); exec python -m testing.suite $(PYTEST)

test-fast: build ## the tests without nodes and training, under a minute
	@$(ENTER); exec python -m pytest -n 2 --dist loadgroup -m 'not long and not slow' $(FAST_TESTS) $(PYTEST)

test-all: sweep-env build lint ## the long versions too, and sweeps on Ray
	@$(ENTER); exec python -m pytest $(PYTEST)

# Kilted has no launch packages on PyPI, and its environment has no simulator and no PyTorch: tests
# that need them are skipped or not collected.
test-kilted: ## the node's tests on ROS 2 Kilted, in an environment of its own (.venv-kilted)
	@[ -e .venv-kilted/complete ] || { rm -rf .venv-kilted; $(PYTHON) -m venv .venv-kilted; \
	  .venv-kilted/bin/python -m pip install --constraint env/constraints-kilted.txt \
	    --requirement env/requirements-kilted.txt; \
	  touch .venv-kilted/complete; }
	@env -u PYTHONPATH AMENT_PREFIX_PATH="$$PWD/.venv-kilted" ROS_DISTRO=kilted ROS_VERSION=2 \
	  ROS_PYTHON_VERSION=3 ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST \
	  .venv-kilted/bin/python -m pytest $(KILTED_TESTS) $(PYTEST)

# For .github/scripts/ros_container.sh, on a ROS 2 from apt.
list-robot-tests:
	@echo $(KILTED_TESTS) | tr ' ' '\n'

wheel: ## source distribution and wheel in build/dist, tried in a clean environment
	@[ -e .venv-tools/complete ] || { rm -rf .venv-tools; $(PYTHON) -m venv .venv-tools; \
	  .venv-tools/bin/python -m pip install build==1.6.1 twine==7.0.0; touch .venv-tools/complete; }
	@PATH="$$PWD/.venv-tools/bin:$$PATH" .github/scripts/build_dist.sh build/dist
	@PYTHON=$(PYTHON) .github/scripts/try_wheel.sh build/dist/*.whl

interop-env: ## rsl_rl, mjlab and LEAPP in an environment of their own (.venv-interop), some GB
	@[ -e .venv-interop/complete ] || { rm -rf .venv-interop; $(PYTHON) -m venv .venv-interop; \
	  .venv-interop/bin/python -m pip install --requirement env/requirements-interop.txt; \
	  touch .venv-interop/complete; }

# In a folder of its own: those of testing/data/interop were made like this.
interop: build interop-env ## export policies with these, and compare the node's commands with theirs
	@env -u PYTHONPATH .venv-interop/bin/python testing/interop/export_policies.py --out build/interop; \
	$(ENTER); INTEROP=build/interop exec python -m pytest test/tools/adopt/test_interop.py $(PYTEST)

# LeRobot's library wants other versions of what is installed here.
test-lerobot: build ## LeRobot's own library reads and writes datasets, in an environment of its own (.venv-lerobot)
	@[ -e .venv-lerobot/complete ] || { rm -rf .venv-lerobot; $(LEROBOT_PYTHON) -m venv .venv-lerobot; \
	  .venv-lerobot/bin/python -m pip install --no-deps --requirement env/requirements-lerobot.txt; \
	  touch .venv-lerobot/complete; }
	@$(ENTER); exec python -m pytest test/training/data/formats/test_lerobot_library.py $(PYTEST)

audit-env: ## pip-licenses and cyclonedx-bom in an environment of their own (.venv-audit)
	@[ -e .venv-audit/complete ] || { rm -rf .venv-audit; $(PYTHON) -m venv .venv-audit; \
	  .venv-audit/bin/python -m pip install --requirement env/requirements-audit.txt; \
	  touch .venv-audit/complete; }

licences: env audit-env ## check the licences of everything that is installed (env/licences.toml)
	@exec env -u PYTHONPATH .venv-audit/bin/python env/licences.py .venv

sbom: env audit-env ## list everything that is installed, in build/sbom.cdx.json (CycloneDX)
	@mkdir -p build; exec env -u PYTHONPATH .venv-audit/bin/cyclonedx-py environment \
	  --output-reproducible --validate --output-file build/sbom.cdx.json .venv/bin/python

lint: env ## ruff, mypy, and which way imports go
	@$(ENTER); ruff check .; mypy; mypy env/*.py; lint-imports --no-logo --no-cache

# Written pages first: they come from the code, which needs the package's own environment.
docs-pages: build ## write the reference pages of docs from the code
	@$(ENTER); python -m documentation

docs-env:
	@[ -e .venv-docs/complete ] || { rm -rf .venv-docs; $(PYTHON) -m venv .venv-docs; \
	  .venv-docs/bin/python -m pip install --no-deps --requirement env/requirements-docs.txt; \
	  touch .venv-docs/complete; }

# Offline, but for the packages of its environment (.venv-docs). Sphinx checks links and anchors between
# pages, and the last line those of the HTML that was made.
docs: docs-pages docs-env ## the documentation site, into build/docs/html; warnings are errors
	@echo 'Sphinx reads and writes the pages; a warning ends it'; \
	env -u PYTHONPATH .venv-docs/bin/python -m sphinx --quiet --fail-on-warning --keep-going \
	  --jobs auto --builder html docs build/docs/html; \
	python3 documentation/links.py build/docs/html; \
	echo 'the start page is build/docs/html/index.html'

docs-links: docs-pages docs-env ## follow the links of the documentation to other sites (needs the network)
	@env -u PYTHONPATH .venv-docs/bin/python -m sphinx --keep-going --builder linkcheck docs build/docs/links

train: build ## collect demonstrations, clone them, export and evaluate (a quarter of an hour)
	@$(ENTER); \
	[ -e data/cube-single-demo-task2-v0.npz ] || python -m training.collect --kind demo; \
	resume=; [ ! -e runs/cube_single/checkpoint.pt ] || resume=--resume; \
	python -m training.train small-clone --run runs/cube_single $$resume $(SET); \
	python -m training.export runs/cube_single --out runs/cube_single/policy.onnx; \
	python -m training.evaluate runs/cube_single/policy.onnx; \
	python -m training.report runs/cube_single

# $(call bench,FOLDER,OPTIONS): each benchmark, one after the other, with its figures in FOLDER.
define bench
	@$(ENTER); set -x; \
	python -m bench.latency $(2) --json $(1)/latency.json; \
	python -m bench.graph $(2) --json $(1)/graph.json; \
	python -m bench.loop $(2) --json $(1)/loop.json; \
	python -m bench.wakeup $(or $(2),--seconds 1) --json $(1)/wakeup.json; \
	python -m bench.tick $(or $(2),--seconds 2) --json $(1)/tick.json; \
	python -m bench.cameras $(2) --json $(1)/cameras.json; \
	python -m bench.swap models/cube_single.onnx --fifo --interval 0.1 $(or $(2),--rounds 2) --json $(1)/swap.json; \
	python -m bench.performance --results $(1) $(3)
endef

learn: build ## a weak policy learns on the simulated arm over ROS 2 for 15 minutes (collects data first)
	@$(ENTER); python -m training.learn_demo --out $(LEARN) $(SET); \
	python -m bench.side_by_side $(LEARN)/before.onnx $(LEARN)/after.onnx \
	  --titles before after --episodes 50 --out $(LEARN)/before_after.gif

bench: build ## measure what docs/performance.md and the README quote, but for longer runs, half an hour
	$(call bench,bench/results,,)

bench-quick: build ## the shape of it in 3 minutes, into build/bench-quick
	$(call bench,build/bench-quick,--quick,--out build/bench-quick)

gpu: build ## checks and measurements on a GPU, into docs/gpu.md (12 minutes; needs a CUDA build of PyTorch)
	@$(ENTER); exec python -m bench.gpu

soak: build ## an hour of the node with a fault every minute; fails if something leaks
	@$(ENTER); found=0; python -m bench.soak $(SOAK) --json bench/results/soak.json || found=$$?; \
	python -m bench.performance; exit $$found

fuzz: build ## damage files of every kind, for MINUTES (10); findings are kept in build/fuzz
	@$(ENTER); python -m testing.fuzz --minutes $(MINUTES)

clean: ## remove the output of colcon
	rm -rf .colcon build install log

distclean: clean ## remove the environment too
	rm -rf .venv .venvs .venv-audit .venv-docs .venv-kilted .venv-interop .venv-lerobot .venv-tools
