#!/usr/bin/env bash
# On several processes, as on several machines, in minutes: photographs are drawn, a dataset is built by two workers of
# Dask, and a small network is trained by two processes.
#   examples/distributed.sh [FOLDER]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-$PWD/.venv/bin/python}
folder=${1:-demo/distributed}
rm -rf "$folder" && mkdir -p "$folder"
folder=$(realpath "$folder")
export KERAS_BACKEND=jax TF_CPP_MIN_LOG_LEVEL=3
port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT

"$python" -m builders.sample "$folder/photos" --dataset emotionroi --images 240

scheduler=tcp://127.0.0.1:$(port)
"$python" -m dask scheduler --host 127.0.0.1 --port "${scheduler##*:}" --no-dashboard &>"$folder/scheduler.log" &
"$python" -m dask worker "$scheduler" --nworkers 2 --nthreads 1 --no-dashboard &>"$folder/workers.log" &
"$python" -m sentiflow build emotionroi --config raw256 --manual_dir "$folder/photos" --data_dir "$folder/data" \
    --beam_pipeline_options="runner=apache_beam.runners.dask.dask_runner.DaskRunner,dask_client_address=$scheduler"

export KERAS_DISTRIBUTION_JOB_ADDRESSES=127.0.0.1:$(port) KERAS_DISTRIBUTION_NUM_PROCESSES=2
train() {
    KERAS_DISTRIBUTION_PROCESS_ID=$1 "$python" -m model.train --distributed --dataset emotionroi/raw256 \
        --data_dir "$folder/data" --out "$folder/run" --backbone mobilenet --backbone_options alpha=0.25 \
        --weights none --epochs 2
}
train 1 &
train 0
wait $!
