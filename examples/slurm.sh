#!/usr/bin/env bash
# Trains on every GPU of several hosts: sbatch examples/slurm.sh --dataset emotionroi/raw256 --data_dir /shared/data --out /shared/runs/one
# One process a host; each reads its own part of every batch. --batch_size is that of all together. After a failure SLURM
# starts all of them again, and the run goes on after its last epoch.
#SBATCH --job-name=sentiflow
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=32
#SBATCH --requeue
set -euo pipefail
export KERAS_BACKEND=jax
srun --kill-on-bad-exit=1 python -m sentiflow train --distributed --resume "$@"
