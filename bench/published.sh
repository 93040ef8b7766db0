#!/bin/bash
# Times published models in use, with vitrail and with plain PyTorch and Pillow (bench/peer_published.py). Prints the
# seconds from the start of the program to its first answer, and the images per second after that. Weights are random,
# files are in the page cache.
# Usage: bench/published.sh IMAGES VOCABULARY      # a folder of images; CLIP's merges
# PyTorch is Debian's 1.13, or that of TORCH_PYTHON, an interpreter with PyTorch 2.x and Pillow; that one runs with and
# without its compiler, and the time of compiling does not count.
# The sides run in turn, ROUNDS times (3). The fastest time of each counts. RAW=FILE keeps all times.
set -euo pipefail
if [ $# -ne 2 ]; then
  sed -n 's/^# Usage: /usage: /p' "$0" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
vitrail=$here/build/release/bin/vitrail
python=${TORCH_PYTHON:-/usr/bin/python3}
peer=(env "OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-SKYLAKEX}" "$python" "$here/bench/peer_published.py")
modes=('')
if [ -n "${TORCH_PYTHON:-}" ]; then modes+=(--compile); fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
images=("$1"/*.jpg)
"$vitrail" init --arch clip_vit_b32 --vocab "$2" -o "$work/clip" >/dev/null
"$vitrail" init --arch dinov2_vit_b14 -o "$work/dinov2" >/dev/null

seconds() { # name, command...: runs the command and keeps its time, less the time of compiling
  local name=$1 begin end compiling
  shift
  begin=$(date +%s%N)
  if ! "$@" >"$work/out" 2>"$work/err"; then
    printf 'failed: %s\n' "$*" >&2
    tail -n 5 "$work/err" >&2
    return
  fi
  end=$(date +%s%N)
  compiling=$(sed -n 's/.*"compile_seconds": \([0-9.]*\).*/\1/p' "$work/out")
  echo "{\"run\": \"$name\", \"seconds\": $(awk "BEGIN { print ($end - $begin) / 1e9 - ${compiling:-0} }")}" | tee -a "$work/runs.jsonl" >>"${RAW:-/dev/null}"
}
least() { sed -n "s/.*\"$1\", \"seconds\": \([0-9.]*\).*/\1/p" "$work/runs.jsonl" | sort -g | head -n 1; }

labels=(--labels 'a dog' 'a cat' 'a diagram')
for ((round = 0; round < ${ROUNDS:-3}; round++)); do
  seconds 'zero-shot vitrail' "$vitrail" zero-shot -m "$work/clip" "${images[0]}" "${labels[@]}"
  for mode in "${modes[@]}"; do
    seconds "zero-shot pytorch$mode" "${peer[@]}" zero-shot "$work/clip" "${images[0]}" "${labels[@]}" $mode
  done
  for model in clip dinov2; do
    for count in 1 ${#images[@]}; do
      some=("${images[@]:0:count}")
      seconds "$model $count vitrail" "$vitrail" features -m "$work/$model" "${some[@]}" -o "$work/features.npy"
      for mode in "${modes[@]}"; do
        seconds "$model $count pytorch$mode" "${peer[@]}" features "$work/$model" "${some[@]}" -o "$work/features.npy" $mode
      done
    done
  done
done

n=${#images[@]}
first() { # label, name of the runs
  awk -v a="$(least "$2 vitrail")" -v b="$(for m in "${modes[@]}"; do least "$2 pytorch$m"; done | sort -g | head -n 1)" \
    -v what="$1" 'BEGIN { printf "| %s | %.2f s | %.2f s | %.1f |\n", what, a, b, b / a }'
}
rate() { # model, side: images per second after the first one
  awk -v all="$(least "$1 $n $2")" -v one="$(least "$1 1 $2")" -v n="$n" 'BEGIN { if (all > one) print (n - 1) / (all - one) }'
}
rates() { # label, model
  awk -v a="$(rate "$2" vitrail)" -v b="$(for m in "${modes[@]}"; do rate "$2" "pytorch$m"; done | sort -g | tail -n 1)" \
    -v what="$1" 'BEGIN { printf "| %s | %.1f | %.1f | %.1f |\n", what, a, b, a / b }'
}
echo "| | vitrail | PyTorch $("$python" -c 'import torch; print(torch.__version__)') | ratio |"
echo '| --- | --- | --- | --- |'
first 'CLIP ViT-B/32, zero-shot: the first answer' zero-shot
first 'CLIP ViT-B/32, features: the first answer' 'clip 1'
first 'DINOv2 ViT-B/14, features: the first answer' 'dinov2 1'
rates 'CLIP ViT-B/32, images a second' clip
rates 'DINOv2 ViT-B/14, images a second' dinov2
