#!/usr/bin/env bash
# Everything that wants an accelerator, in one command: how busy the training step is kept at three batch sizes, a
# profile of each that names what is left, and experiment 1 from end to end. JAX serves GPUs that TensorFlow's wheels do
# not; TensorFlow only feeds the step here.
#   bench/gpu.sh DATA_DIR OUT [options of the step, such as --backbone mobilenet]
# Needs the project's dependencies and a JAX for the accelerator; DATA_DIR holds emotionroi/raw256. Writes rows and
# profiles to OUT. EPOCHS (20), SECONDS_EACH (20) and BATCHES ("32 64 256") shorten it.
set -euo pipefail
usage="usage: bench/gpu.sh DATA_DIR OUT [options]"
data=$(realpath "${1:?$usage}") out=$(realpath --canonicalize-missing "${2:?$usage}")
shift 2
cd "$(dirname "$0")/.."
export KERAS_BACKEND=jax
step=(--backbone resnet101 --weights none --precision bfloat16 "$@")
mkdir -p "$out"
python3 -c "import jax; print('device:', jax.devices()[0].device_kind)"
# Without a cache of compiled programs, so that the time of compilation is that of a first run.
for tier in memory device; do
    rm -rf "$out/experiment1-$tier"
    began=$(date +%s.%N)
    python3 -m model.train --data_dir "$data" --out "$out/experiment1-$tier" --cache "$tier" --epochs "${EPOCHS:-20}" \
        "${step[@]}"
    # The first epoch compiles; what no epoch accounts for is start-up, the evaluation and the files.
    python3 - "$out/experiment1-$tier/history.csv" "$began" "$out/experiment1-$tier.json" <<'PY'
import csv, json, statistics, sys, time
rows = list(csv.DictReader(open(sys.argv[1])))
epochs = [float(row["seconds"]) for row in rows]
usual, total = statistics.median(epochs[1:] or epochs), time.time() - float(sys.argv[2])
found = {
    "epochs": len(epochs),
    "seconds": total,
    "training_seconds": usual * len(epochs),
    "compiling_seconds": epochs[0] - usual,
    "other_seconds": total - sum(epochs),
    "waiting_share": statistics.mean(float(row["waiting_share"]) for row in rows[1:] or rows),
}
json.dump(found, open(sys.argv[3], "w"), indent=1)
print(", ".join(f"{name} {value:.3g}" for name, value in found.items()))
PY
done
export JAX_COMPILATION_CACHE_DIR="${JAX_COMPILATION_CACHE_DIR:-$out/compiled}"  # every contestant has the same step
for batch in ${BATCHES:-32 64 256}; do
    python3 -m bench.training --data_dir "$data" --batch_size "$batch" --seconds "${SECONDS_EACH:-20}" "${step[@]}" \
        --contestants sentiflow-memory,sentiflow-device --json "$out/training-$batch.json" --profile "$out/profile-$batch"
done
