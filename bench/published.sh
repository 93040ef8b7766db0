#!/bin/bash
# Times published models in use, with vitrail and with plain PyTorch and Pillow (bench/peer_published.py). Prints the
# seconds from the start of the program to its first answer, and the images per second after that. Weights are random,
# files are in the page cache.
# Usage: bench/published.sh IMAGES VOCABULARY      # a folder of images; CLIP's merges
# The two sides run in turn, ROUNDS times (3). The fastest time of each counts. RAW=FILE keeps all times.
set -euo pipefail
if [ $# -ne 2 ]; then
  sed -n 's/^# Usage: /usage: /p' "$0" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
vitrail=$here/build/release/bin/vitrail
peer=(env "OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-SKYLAKEX}" /usr/bin/python3 "$here/bench/peer_published.py")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
images=("$1"/*.jpg)
"$vitrail" init --arch clip_vit_b32 --vocab "$2" -o "$work/clip" >/dev/null
"$vitrail" init --arch dinov2_vit_b14 -o "$work/dinov2" >/dev/null

seconds() { # name, command...: runs the command and keeps its time
  local name=$1 begin end
  shift
  begin=$(date +%s%N)
  "$@" >/dev/null 2>&1
  end=$(date +%s%N)
  echo "{\"run\": \"$name\", \"seconds\": $(awk "BEGIN { print ($end - $begin) / 1e9 }")}" | tee -a "$work/runs.jsonl" >>"${RAW:-/dev/null}"
}
least() { sed -n "s/.*\"$1\", \"seconds\": \([0-9.]*\).*/\1/p" "$work/runs.jsonl" | sort -g | head -n 1; }

labels=(--labels 'a dog' 'a cat' 'a diagram')
for ((round = 0; round < ${ROUNDS:-3}; round++)); do
  seconds 'zero-shot vitrail' "$vitrail" zero-shot -m "$work/clip" "${images[0]}" "${labels[@]}"
  seconds 'zero-shot pytorch' "${peer[@]}" zero-shot "$work/clip" "${images[0]}" "${labels[@]}"
  for model in clip dinov2; do
    for count in 1 ${#images[@]}; do
      some=("${images[@]:0:count}")
      seconds "$model $count vitrail" "$vitrail" features -m "$work/$model" "${some[@]}" -o "$work/features.npy"
      seconds "$model $count pytorch" "${peer[@]}" features "$work/$model" "${some[@]}" -o "$work/features.npy"
    done
  done
done

n=${#images[@]}
first() { # label, name of the runs
  awk -v a="$(least "$2 vitrail")" -v b="$(least "$2 pytorch")" -v what="$1" \
    'BEGIN { printf "| %s | %.2f s | %.2f s | %.1f |\n", what, a, b, b / a }'
}
rate() { # label, model
  awk -v a="$(least "$2 $n vitrail")" -v a1="$(least "$2 1 vitrail")" -v b="$(least "$2 $n pytorch")" \
    -v b1="$(least "$2 1 pytorch")" -v n="$n" -v what="$1" \
    'BEGIN { x = (n - 1) / (a - a1); y = (n - 1) / (b - b1); printf "| %s | %.1f | %.1f | %.1f |\n", what, x, y, x / y }'
}
echo '| | vitrail | PyTorch | ratio |'
echo '| --- | --- | --- | --- |'
first 'CLIP ViT-B/32, zero-shot: the first answer' zero-shot
first 'CLIP ViT-B/32, features: the first answer' 'clip 1'
first 'DINOv2 ViT-B/14, features: the first answer' 'dinov2 1'
rate 'CLIP ViT-B/32, images a second' clip
rate 'DINOv2 ViT-B/14, images a second' dinov2
