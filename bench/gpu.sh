#!/usr/bin/env bash
# Everything that wants an accelerator, in one command: how busy the training step is kept at three batch sizes, and
# experiment 1 from end to end. JAX serves GPUs that TensorFlow's wheels do not; TensorFlow only feeds the step here.
#   bench/gpu.sh DATA_DIR OUT [options of the step, such as --backbone mobilenet]
# Needs the project's dependencies and a JAX for the accelerator; DATA_DIR holds emotionroi/raw256. Writes rows to OUT.
set -euo pipefail
usage="usage: bench/gpu.sh DATA_DIR OUT [options]"
data=$(realpath "${1:?$usage}") out=$(realpath --canonicalize-missing "${2:?$usage}")
shift 2
cd "$(dirname "$0")/.."
export KERAS_BACKEND=jax JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$out/compiled}"
step=(--backbone resnet101 --weights none --precision bfloat16 "$@")
for batch in 32 64 256; do
    python3 -m bench.training --data_dir "$data" --batch_size "$batch" --seconds 20 "${step[@]}" \
        --contestants sentiflow-memory,sentiflow-device --json "$out/training-$batch.json"
done
for tier in memory device; do
    began=$(date +%s.%N)
    python3 -m model.train --data_dir "$data" --out "$out/experiment1-$tier" --cache "$tier" "${step[@]}"
    # The first epoch compiles; what no epoch accounts for is start-up, the validation and the files.
    python3 - "$out/experiment1-$tier/history.csv" "$began" <<'PY'
import csv, statistics, sys, time
epochs = [float(row["seconds"]) for row in csv.DictReader(open(sys.argv[1]))]
usual = statistics.median(epochs[1:])
total = time.time() - float(sys.argv[2])
print(f"{total:.1f} s in all: {usual * len(epochs):.1f} s of training, {epochs[0] - usual:.1f} s of compiling its step")
PY
done
