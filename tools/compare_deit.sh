#!/bin/bash
# One ViT on a share of CIFAR-10: plain, with augmentation, and with augmentation and a ResNet-20, trained on the same
# pictures, as its teacher. Prints mean and deviation of the test accuracy over the seeds.
# Usage: VITRAIL_DATA=/data tools/compare_deit.sh OUT SHARE EPOCHS SEED...
#        tools/compare_deit.sh runs/deit-5000 0.1 60 0 1 2      # 5,000 pictures, 3 seeds
#        tools/compare_deit.sh runs/deit-50000 1 24 0 1 2       # all 50,000
# Runs that are done are not repeated, those that were stopped go on.
set -eu
if [ $# -lt 4 ]; then
  sed -n 's/^# Usage: /usage: /p' "$0" >&2
  exit 2
fi
out=$1 share=$2 epochs=$3
shift 3
here=$(cd "$(dirname "$0")/.." && pwd)
train=${TRAIN:-$here/build/release/bin/train}

run() { # folder, recipe, changes...
  local folder=$1 recipe=$2
  shift 2
  [ -e "$folder/result.json" ] && return
  if [ -e "$folder/resolved.yaml" ]; then
    "$train" --resume "$folder"
  else
    "$train" "$here/recipes/$recipe.yaml" out="$folder" data.subset="$share" "$@"
  fi
}
top1() { sed -n 's/.*"top1": *\([0-9.e-]*\).*/\1/p' "$1/result.json"; }

run "$out/teacher" resnet_cifar10 train.epochs="$epochs" train.eval_every="$epochs"
model="model.patch_size=8 model.embed_dim=192 model.depth=6 train.epochs=$epochs train.eval_every=$epochs"
off="model.distilled=false distillation.kind=none"
plain="data.auto_augment=~ data.random_erasing=0 train.mixup=0 train.cutmix=0"
for seed in "$@"; do
  # shellcheck disable=SC2086  # each holds several arguments
  run "$out/plain-$seed" deit_cifar10 seed="$seed" $model $off $plain
  # shellcheck disable=SC2086
  run "$out/augmented-$seed" deit_cifar10 seed="$seed" $model $off
  # shellcheck disable=SC2086
  run "$out/distilled-$seed" deit_cifar10 seed="$seed" $model distillation.teacher="$out/teacher"
done

printf 'teacher    %.2f%%\n' "$(awk "BEGIN { print 100 * $(top1 "$out/teacher") }")"
for arm in plain augmented distilled; do
  for seed in "$@"; do top1 "$out/$arm-$seed"; done |
    awk -v arm="$arm" '
      { n++; s += 100 * $1; q += 1e4 * $1 * $1 }
      END { m = s / n; d = n > 1 ? sqrt((q - n * m * m) / (n - 1)) : 0
            printf "%-10s %.2f%% +- %.2f (%d seeds)\n", arm, m, d, n }'
done
