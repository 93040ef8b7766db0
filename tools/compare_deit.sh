#!/bin/bash
# Trains one ViT on a share of CIFAR-10 in three arms: plain, augmented and distilled. The distilled arm adds a ResNet-8
# teacher, trained on the same images. Prints the mean and deviation of the test accuracy over the seeds, and the time
# of a run.
# Usage: VITRAIL_DATA=/data tools/compare_deit.sh OUT SHARE EPOCHS SEED... [key=value...]
#        tools/compare_deit.sh runs/deit-5000 0.1 60 0 1 2      # 5,000 images, 3 seeds
#        tools/compare_deit.sh runs/deit-50000 1 24 0           # all 50,000
# A key=value changes the ViT's recipe in all arms.
# Finished runs are not repeated, stopped runs are resumed. JOBS=2 trains two runs at a time, with one thread each.
set -eu
if [ $# -lt 4 ]; then
  sed -n 's/^# Usage: /usage: /p' "$0" >&2
  exit 2
fi
out=$1 share=$2 epochs=$3
shift 3
seeds=() extra=()
for argument in "$@"; do
  if [[ $argument == *=* ]]; then extra+=("$argument"); else seeds+=("$argument"); fi
done
here=$(cd "$(dirname "$0")/.." && pwd)
train=${TRAIN:-$here/build/release/bin/train}
jobs=${JOBS:-1}
if [ "$jobs" -gt 1 ]; then export OMP_NUM_THREADS=1; fi
mkdir -p "$out"

run() { # folder, recipe, changes...: trains, or resumes the run
  local folder=$1 recipe=$2
  shift 2
  [ -e "$folder/result.json" ] && return
  if [ -e "$folder/resolved.yaml" ]; then
    "$train" --resume "$folder"
  else
    "$train" "$here/recipes/$recipe.yaml" out="$folder" data.subset="$share" "$@"
  fi >>"$folder.log" 2>&1
}

arm() { # plain, augmented or distilled; seed
  local changes=(seed="$2" train.epochs="$epochs" train.eval_every=5 "${extra[@]}")
  if [ "$1" != distilled ]; then changes+=(model.distilled=false distillation.kind=none); fi
  if [ "$1" = distilled ]; then changes+=(distillation.teacher="$out/teacher"); fi
  if [ "$1" = plain ]; then changes+=(data.auto_augment=~ data.random_erasing=0 train.mixup=0 train.cutmix=0); fi
  run "$out/$1-$2" deit_cifar10 "${changes[@]}"
}

leave() { # count: waits until at most that many runs are left; fails if a run failed
  while [ "$(jobs -rp | wc -l)" -gt "$1" ]; do wait -n; done
}

metric() { sed -n "s/.*\"$2\": *\([0-9.e-]*\).*/\1/p" "$1/result.json"; }

run "$out/teacher" resnet_cifar10 model.arch=resnet8 train.batch_size=64 train.epochs="${TEACHER_EPOCHS:-$epochs}" \
  train.eval_every=5
for seed in "${seeds[@]}"; do
  for arm in plain augmented distilled; do
    leave $((jobs - 1))
    arm "$arm" "$seed" &
  done
done
leave 0

printf 'teacher    %.2f%%\n' "$(awk "BEGIN { print 100 * $(metric "$out/teacher" top1) }")"
for arm in plain augmented distilled; do
  for seed in "${seeds[@]}"; do echo "$(metric "$out/$arm-$seed" top1) $(metric "$out/$arm-$seed" seconds)"; done |
    awk -v arm="$arm" '
      { n++; s += 100 * $1; q += 1e4 * $1 * $1; t += $2 }
      END { m = s / n; d = n > 1 ? sqrt((q - n * m * m) / (n - 1)) : 0
            printf "%-10s %.2f%% +- %.2f (%d runs of %.1f minutes)\n", arm, m, d, n, t / n / 60 }'
done
