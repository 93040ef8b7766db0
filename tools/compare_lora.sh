#!/bin/bash
# LoRA beside full fine-tuning of the same trained model on photographs of clothing: the same images, epochs and
# augmentation. Prints accuracy (mean and deviation over the seeds), trained weights, memory and time, and writes the
# table to OUT/table.md.
# Usage: VITRAIL_DATA=/data tools/compare_lora.sh OUT INIT SEED... [key=value...]
#        tools/compare_lora.sh runs/lora_clothing dinov2-small/ 0 1 2
#        tools/compare_lora.sh /tmp/try runs/dino_vit 0 data.img_size=64 train.epochs=2
# A key=value changes both arms; FULL=key=value and LORA=key=value, several with spaces between, one of them.
# Finished runs are not repeated, stopped runs are resumed. TRAIN takes the place of the program.
set -eu
if [ $# -lt 3 ]; then
  sed -n 's/^# Usage: /usage: /p' "$0" >&2
  exit 2
fi
out=$1 start=$2
shift 2
seeds=() extra=()
for argument in "$@"; do
  if [[ $argument == *=* ]]; then extra+=("$argument"); else seeds+=("$argument"); fi
done
here=$(cd "$(dirname "$0")/.." && pwd)
train=${TRAIN:-$here/build/release/bin/train}
mkdir -p "$out"

run() { # arm, seed, changes...: trains, or resumes the run
  local folder=$out/$1-$2 seed=$2
  shift 2
  [ -e "$folder/result.json" ] && return
  if [ -e "$folder/resolved.yaml" ]; then
    "$train" --resume "$folder"
  else
    "$train" "$here/recipes/vit_clothing_lora.yaml" out="$folder" seed="$seed" init="$start" "${extra[@]}" "$@"
  fi >>"$folder.log" 2>&1
}

number() { sed -n "s/.*\"$2\": *\([0-9.e+-]*\).*/\1/p" "$1/result.json" | head -1; }

read -ra of_full <<<"${FULL:-}"
read -ra of_lora <<<"${LORA:-}"
for seed in "${seeds[@]}"; do
  # Full fine-tuning at a tenth of the rate, with slower layers below, as is usual for trained transformers.
  run full "$seed" lora.rank=0 lora.base=f32 optim.lr=1e-4 optim.layer_decay=0.75 optim.weight_decay=0.05 "${of_full[@]}"
  run lora "$seed" "${of_lora[@]}"
done
{
  echo '| arm | top-1 | trained weights | peak memory | time |'
  echo '| --- | ---: | ---: | ---: | ---: |'
  for arm in full lora; do
    first=$out/$arm-${seeds[0]}
    line=$(grep -m1 -o ': [0-9,]* parameters.*' "$first.log")
    trained=$(sed -n 's/.*parameters, \([0-9,]*\) of them.*/\1/p' <<<"$line")
    for seed in "${seeds[@]}"; do number "$out/$arm-$seed" top1; done |
      awk -v arm="$arm" -v trained="${trained:-$(sed 's/: \([0-9,]*\).*/\1/' <<<"$line")}" \
        -v memory="$(number "$first" peak_rss_mb)" -v seconds="$(number "$first" seconds)" '
        { n++; s += 100 * $1; q += 1e4 * $1 * $1 }
        END { m = s / n; d = n > 1 ? sqrt((q > n * m * m ? q - n * m * m : 0) / (n - 1)) : 0
              printf "| %s | %.1f%% +- %.1f | %s | %.0f MB | %.0f s |\n", arm, m, d, trained, memory, seconds }'
  done
} | tee "$out/table.md"
