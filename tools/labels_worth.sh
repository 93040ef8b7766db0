#!/bin/bash
# What labels are worth: trains a classifier on a share of CIFAR-10's labels, from the backbone of a run without labels and
# from scratch. Both arms have the same model, images, epochs and settings. Prints the mean and deviation of the test
# accuracy over the seeds; a seed chooses the labelled images too (data.subset_seed), the same for both arms.
# Usage: VITRAIL_DATA=/data tools/labels_worth.sh OUT RUN SHARE EPOCHS SEED... [key=value...]
#        tools/labels_worth.sh runs/labels-1 runs/dinov2_cifar10/dinov2 0.01 100 0 1 2     # 50 images of each class
#        tools/labels_worth.sh runs/labels-10 runs/dinov2_cifar10/dinov2 0.1 30 0 1 2
# A key=value changes both arms; START=key=value, several with spaces between, the arm that starts from the run alone.
# Finished runs are not repeated, stopped runs are resumed. TRAIN takes the place of the program.
set -eu
if [ $# -lt 5 ]; then
  sed -n 's/^# Usage: /usage: /p' "$0" >&2
  exit 2
fi
out=$1 start=$2 share=$3 epochs=$4
shift 4
seeds=() extra=()
for argument in "$@"; do
  if [[ $argument == *=* ]]; then extra+=("$argument"); else seeds+=("$argument"); fi
done
here=$(cd "$(dirname "$0")/.." && pwd)
train=${TRAIN:-$here/build/release/bin/train}
# The model of dinov2_cifar10.yaml, with its class token.
model=(model.embed_dim=128 model.depth=4 model.num_heads=4 model.global_pool=token model.pos_interp=scale_offset)
mkdir -p "$out"

run() { # arm, seed, changes...: trains, or resumes the run
  local folder=$out/$1-$2 seed=$2
  shift 2
  [ -e "$folder/result.json" ] && return
  if [ -e "$folder/resolved.yaml" ]; then
    "$train" --resume "$folder"
  else
    "$train" "$here/recipes/vit_cifar10.yaml" out="$folder" seed="$seed" data.subset="$share" data.subset_seed="$seed" \
      train.epochs="$epochs" train.batch_size=64 train.eval_every=5 "${model[@]}" "${extra[@]}" "$@"
  fi >>"$folder.log" 2>&1
}

top1() { sed -n 's/.*"top1": *\([0-9.e-]*\).*/\1/p' "$1/result.json" | head -1; }

read -ra of_start <<<"${START:-}"
for seed in "${seeds[@]}"; do
  run scratch "$seed"
  run pretrained "$seed" init="$start" "${of_start[@]}"
done
for arm in scratch pretrained; do
  for seed in "${seeds[@]}"; do top1 "$out/$arm-$seed"; done | awk -v arm="$arm" -v share="$share" '
    { n++; s += 100 * $1; q += 1e4 * $1 * $1; each = each sprintf(" %.1f", 100 * $1) }
    END { m = s / n; d = n > 1 ? sqrt((q > n * m * m ? q - n * m * m : 0) / (n - 1)) : 0
          printf "%-10s %g%% of the labels: %.1f%% +- %.1f (%d seeds:%s)\n", arm, 100 * share, m, d, n, each }'
done
