#!/usr/bin/env bash
# Every row behind the README and docs/, and then their tables and plots, in one command. Leave the machine alone
# meanwhile: an hour on two cores, with all other loaders. It says how long each part took; `scaling` goes on where it
# was stopped.
#   bench/measure.sh DATA_DIR [MANUAL_DIR] [PART...]
# DATA_DIR holds emotionroi in all storages; what it lacks is built from MANUAL_DIR. Other loaders are measured where
# `make peers` has installed them. MANUAL_DIR may be "". PARTs are:
# throughput start build growth stages memory training emulation scaling; default: all.
set -euo pipefail
usage="usage: bench/measure.sh DATA_DIR [MANUAL_DIR] [PART...]"
data=$(realpath --canonicalize-missing "${1:?$usage}")
manual=()
[ -z "${2:-}" ] || manual=(--manual_dir "$(realpath "$2")")
shift $(($# < 2 ? $# : 2))
parts=${*:-throughput start build growth stages memory training emulation scaling}
cd "$(dirname "$0")/.."
export TF_CPP_MIN_LOG_LEVEL=3
out=demo/measured # git ignores it, so that the rows name a commit and not a changed tree
mkdir -p $out
for part in $parts; do
    began=$SECONDS
    source=(--data_dir "$data" "${manual[@]}")
    case $part in
    throughput) command=(bench.throughput --limits --seconds 3 --plot $out/throughput.png) ;;
    start) command=(bench.start --times 3) ;;
    build) command=(bench.build --pairs 5) source=("${manual[@]}") ;;
    growth) command=(bench.growth) source=() ;;
    stages) command=(bench.stages --seconds 2) ;;
    memory) command=(bench.memory --seconds 1) ;;
    training) command=(bench.training --backbone_options alpha=0.25 --seconds 5 --plot $out/training.png) ;;
    emulation) command=(bench.training --emulate 250,1000,2500,5000,10000 --seconds 1.5 --plot $out/emulation.png) ;;
    scaling) command=(bench.scaling --seconds 1 --plot $out/scaling.png) ;;
    *) echo "no such part: $part" >&2 && exit 2 ;;
    esac
    "${PYTHON:-.venv/bin/python}" -m "${command[@]}" "${source[@]}" --json "$out/$part.json"
    echo "== $part: $((SECONDS - began)) s"
done
for part in $parts; do
    cp $out/"$part".* docs/
done
"${PYTHON:-.venv/bin/python}" -m bench.docs README.md builders/README.md docs/*.md
