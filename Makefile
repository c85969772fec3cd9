# Two commands: `make demo` shows what kseg does, `make test` checks that it does it.
# Each makes .venv and installs what it needs, once.

PYTHON ?= python3
BIN := .venv/bin
# Tests of one file stay in one process, which shares what they build.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile

# What runs on the other backends of Keras: what every layer, model, loss and metric keeps.
# JAX compiles anew for every shape, so that it gets the contracts alone.
CORE := tests/contracts tests/layers tests/losses tests/metrics \
    tests/models/video/test_contract.py tests/models/points/test_contract.py

# Most of JAX' time is XLA's, for small kernels: it does without optimizations that take
# longer than they save here, and what one process compiled serves all.
JAX := JAX_DISABLE_MOST_OPTIMIZATIONS=1 JAX_COMPILATION_CACHE_DIR=$(CURDIR)/.pytest_cache/jax \
    JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1

.PHONY: demo test lint test-slow test-backends oracles browser person clothes peers clean

demo: .venv/demo.installed
	$(BIN)/kseg demo

test: lint
	$(PYTEST) -m "not slow"

lint: .venv/dev.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

test-slow: .venv/dev.installed
	$(PYTEST) -m slow

# The torch backend needs `make oracles` first.
test-backends: .venv/dev.installed
	$(JAX) KERAS_BACKEND=jax $(PYTEST) --dist worksteal -m "not slow" tests/contracts
	! $(BIN)/python -c "import torch" 2>/dev/null || \
	OMP_NUM_THREADS=1 KERAS_BACKEND=torch $(PYTEST) -m "not slow" $(CORE)

# Heavy libraries that tests compare with; tests that need them say so and skip.
oracles: .venv/oracles.installed

.venv/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'kseg needs Python 3.11 or newer: make PYTHON=python3.11 …')"
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip

.venv/demo.installed: setup.py | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[mobile,demo]"
	touch $@

.venv/dev.installed: setup.py | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable ".[mobile,data,video,points,demo,dev]"
	touch $@ .venv/demo.installed

.venv/oracles.installed: requirements/oracles.txt | .venv/bin/python
	$(BIN)/python -m pip install --quiet --requirement requirements/oracles.txt
	touch $@

# Chromium, its packages and MediaPipe, which run the files as users' apps do: for
# `kseg demo --web`, and for tests that otherwise say what is missing and skip.
browser: mobile/javascript/node_modules/.package-lock.json .venv-mediapipe/bin/python
	scripts/debian.sh chromium

mobile/javascript/node_modules/.package-lock.json: mobile/javascript/package-lock.json
	npm ci --no-audit --no-fund --prefix mobile/javascript
	touch $@

# Environments of the libraries that benchmarks/ compares with, some GB.
PEERS := smp keras-hub pydensecrf albumentations points mediapipe
peers: $(PEERS:%=.venv-%/bin/python)

.venv-smp/bin/python: PACKAGES = segmentation-models-pytorch torch torchvision
.venv-keras-hub/bin/python: PACKAGES = keras-hub tensorflow
.venv-albumentations/bin/python: PACKAGES = albumentations opencv-python-headless torch
.venv-points/bin/python: PACKAGES = fpsample open3d-cpu scipy
.venv-pydensecrf/bin/python: PACKAGES = pydensecrf2==1.1 numpy  # needs a C++ compiler
.venv-mediapipe/bin/python: PACKAGES = mediapipe==1.2.2
$(PEERS:%=.venv-%/bin/python):
	$(PYTHON) -m venv $(@:/bin/python=)
	$(@D)/pip install --quiet $(PACKAGES) || (rm -rf $(@:/bin/python=) && false)

clean:
	rm -rf .venv .venv-* build dist *.egg-info mobile/javascript/node_modules

# Train the nets that ship; CCP is the folder of Clothing Co-Parsing. Hours on 2 cores; what
# was stopped goes on where it was.
person: .venv/demo.installed
	$(BIN)/kseg train $(CCP) --labels person -o runs/person --model unet \
	    --model-arguments '{"filters": [12, 24, 40, 64, 96], "batch_norm": true, "dropout_rate": 0.0}' \
	    --epochs 80 --learning-rate 0.002 --weight-decay 0.02 --dice-weight 1
	$(BIN)/kseg train $(CCP) --labels person -o runs/person_fine --start runs/person/best.keras \
	    --epochs 15 --learning-rate 0.0005 --weight-decay 0.02 --dice-weight 1 \
	    --smallest-crop 0.6 --ema-momentum 0.99 --seed 1
	cp runs/person_fine/best.keras mobile/weights/person_large.keras
	$(BIN)/python examples/train_person.py $(CCP) -o runs/person_small \
	    --teacher mobile/weights/person_large.keras
	cp runs/person_small/person.keras runs/person_small/person_*.tflite mobile/weights
	$(BIN)/python examples/train_person_video.py $(CCP) -o runs/person_video
	cp runs/person_video/person_video_float16.tflite mobile/weights

clothes: .venv/demo.installed
	$(BIN)/python examples/train_clothes.py $(CCP) -o runs/clothes
	cp runs/clothes/clothes.keras runs/clothes/clothes_*.tflite mobile/weights
