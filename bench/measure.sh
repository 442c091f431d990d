#!/usr/bin/env bash
# Every row behind the README and docs/, and then their tables and plots, in one command. Leave the machine alone
# meanwhile: two hours on two cores, with all other loaders. It says how long each part took; `scaling` and the sets of
# experiments go on where they were stopped.
#   [WEIGHTS=FILE] bench/measure.sh DATA_DIR [MANUAL_DIR] [PART...]
# DATA_DIR holds emotionroi in all storages; what it lacks is built from MANUAL_DIR. Other loaders are measured where
# `make peers` has installed them. MANUAL_DIR may be "". PARTs are:
# throughput start build growth stages memory training emulation scaling race experiments lockstep ablation; default: all.
# The last four train mobilenet (alpha 0.25) with the ImageNet weights in FILE, and are left out without it; twitter1
# is built of sample photographs where DATA_DIR lacks it. Accelerators have a script of their own, gpu.sh.
set -euo pipefail
usage="usage: [WEIGHTS=FILE] bench/measure.sh DATA_DIR [MANUAL_DIR] [PART...]"
data=$(realpath --canonicalize-missing "${1:?$usage}")
manual=()
[ -z "${2:-}" ] || manual=(--manual_dir "$(realpath "$2")")
weights=${WEIGHTS:+$(realpath "$WEIGHTS")}
shift $(($# < 2 ? $# : 2))
sets="race experiments lockstep ablation"
parts=${*:-throughput start build growth stages memory training emulation scaling ${weights:+$sets}}
cd "$(dirname "$0")/.."
python=${PYTHON:-.venv/bin/python}
export TF_CPP_MIN_LOG_LEVEL=3
out=demo/measured # git ignores it, so that the rows name a commit and not a changed tree
mkdir -p $out

# The rows of a set of experiments: train NAME OPTION...
train() {
    "$python" -m model.experiments --out "$out/$1" --data_dir "$data" --backbone mobilenet \
        --backbone_options alpha=0.25 --weights "${weights:?name the file of ImageNet weights in WEIGHTS}" "${@:2}"
    cp "$out/$1/results.json" "$out/$1.json"
}

for part in $parts; do
    began=$SECONDS
    source=(--data_dir "$data" "${manual[@]}")
    command=()
    case $part in
    throughput) command=(bench.throughput --limits --seconds 3 --plot $out/throughput.png) ;;
    start) command=(bench.start --times 3) ;;
    build) command=(bench.build --pairs 5) source=("${manual[@]}") ;;
    growth) command=(bench.growth) source=() ;;
    stages) command=(bench.stages --seconds 2) ;;
    memory) command=(bench.memory --seconds 1) ;;
    training) command=(bench.training --backbone_options alpha=0.25 --seconds 5 --plot $out/training.png) ;;
    emulation) command=(bench.training --emulate 250,1000,2500,5000,10000,30000 --seconds 1.5 --plot $out/emulation.png) ;;
    scaling) command=(bench.scaling --seconds 1 --plot $out/scaling.png) ;;
    race)
        command=(bench.race --times 3 --backbone mobilenet --backbone_options alpha=0.25 --weights "${weights:?name the file of ImageNet weights in WEIGHTS}")
        source=(--data_dir "$data")
        ;;
    experiments)
        if [ ! -d "$data/twitter1/raw256" ]; then
            "$python" -m builders.sample $out/sample --images 200
            "$python" -m tensorflow_datasets.scripts.cli.main build builders/twitter1 --config raw256 \
                --manual_dir $out/sample --data_dir "$data"
        fi
        train experiments
        ;;
    lockstep)
        train lockstep --only 1,2,3,4,5,6
        train lockstep-sequential --only 1,2,3,4,5,6 --sequential
        ;;
    ablation) train ablation --ablation --seeds 5 ;;
    *) echo "no such part: $part" >&2 && exit 2 ;;
    esac
    [ ${#command[@]} = 0 ] || "$python" -m "${command[@]}" "${source[@]}" --json "$out/$part.json"
    echo "== $part: $((SECONDS - began)) s"
done
for part in $parts; do
    cp $out/"$part".* docs/
    [ "$part" != lockstep ] || cp $out/lockstep-sequential.json docs/
done
"$python" -m bench.docs README.md builders/README.md docs/*.md
