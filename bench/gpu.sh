#!/usr/bin/env bash
# Everything that wants an accelerator, in one command that needs no network, no `tfds` command and no prepared data: it
# draws photographs at the real sets' counts, builds them, and measures in an order that gives the most if it is cut off.
#   [GPU_MINUTES=9] [SMALL=1] [COMMIT=...] bench/gpu.sh OUT [PART...]
# Results are in OUT/gpu.json as they come, with a log for each part. Copied to docs/, `python -m bench.docs docs/gpu.md
# README.md` makes the page of them. The parts: prepare, chip, step-32, experiment-cold, experiment-warm, torch-forward,
# switches-32, step-256, torch-training, nine, switches-256.
# Each needs what `prepare` has made, which is kept for a second call in a temporary folder, or in that of --work DIR.
# SMALL=1 is the rehearsal: a tiny backbone, 60 photographs, on a CPU as well (its parts have other batch sizes). COMMIT
# names the commit where there is no checkout. Needs JAX for the accelerator and tensorflow-cpu, keras and
# tensorflow-datasets, which only feed it; torch and torchvision for the rival's figures. PYTHON names the interpreter.
set -euo pipefail
: "${1:?usage: bench/gpu.sh OUT [PART...]}"
out=$(realpath --canonicalize-missing "$1")
shift
cd "$(dirname "$0")/.."
exec "${PYTHON:-python3}" -m bench.gpu "$out" "$@"
