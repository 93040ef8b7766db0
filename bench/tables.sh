#!/bin/bash
# Prints the tables of docs/performance.md: a training step, the forward pass, memory, a second thread and start-up.
# Each row has the peak of the same run, oneDNN's best product, and PyTorch's result if python3-torch is installed.
# The two sides run in turn, ROUNDS times (1), with STEPS steps each (5). The fastest time of each counts. A round takes
# ten minutes; have nothing else running.
# "bench/tables.sh dino clip captions" prints only the table of DINO and CLIP. RAW=FILE keeps the programs' output.
# ROWS=PATTERN selects rows by name. bench/peer_onnxruntime.js explains how to add ONNX Runtime.
set -euo pipefail
cd "$(dirname "$0")/.."
bench=build/release/bin/bench_step
peer=(env "OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-SKYLAKEX}" /usr/bin/python3 bench/peer_torch.py --one)
has_torch() { /usr/bin/python3 -c 'import torch' 2>/dev/null; }

field() { sed -n "s/.*\"$2\": *\([0-9.]*\).*/\1/p" <<<"$1"; }
round() { printf '%.0f' "$1"; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

fastest() { # two results; the first may be empty
  if [ -z "$1" ] || awk "BEGIN { exit !($(field "$2" ms) < $(field "$1" ms)) }"; then echo "$2"; else echo "$1"; fi
}

kept() { # a command; RAW keeps its output
  "$@" --steps "${STEPS:-5}" | tee -a "${RAW:-/dev/null}"
}

row() { # name, type, arguments: prints a row of the table
  local name=$1 dtype=$2 ours='' theirs='' line
  shift 2
  [[ $name =~ ${ROWS:-.} ]] || return 0
  for ((round = 0; round < ${ROUNDS:-1}; round++)); do
    ours=$(fastest "$ours" "$(kept "$bench" "$@" --dtype "$dtype" --json)")
    # PyTorch runs without recompute: peer_torch.py does not have it.
    if has_torch; then theirs=$(fastest "$theirs" "$(kept "${peer[@]}" "${@/--checkpoint/--json}" --dtype "$dtype")"); fi
  done
  line="| $name | $dtype | $(round "$(field "$ours" ms)") | $(round "$(field "$ours" gflops)") |"
  line+=" $(awk "BEGIN { printf \"%.0f\", 100 * $(field "$ours" share_of_peak) }")% | $(round "$(field "$ours" peak_rss_mb)") MB |"
  if [ -n "$theirs" ]; then
    line+=" $(round "$(field "$theirs" ms)") | $(ratio "$(field "$theirs" ms)" "$(field "$ours" ms)") |"
    line+=" $(ratio "$(field "$ours" peak_rss_mb)" "$(field "$theirs" peak_rss_mb)") |"
  fi
  echo "$line"
}

methods() { # dino, clip or captions...: prints the table of methods with these rows
  echo '| step | type | ms | GFLOP/s | of the peak | memory | PyTorch, ms | times as fast | memory, of PyTorch |'
  echo '| --- | --- | --- | --- | --- | --- | --- | --- | --- |'
  local part dtype
  for part in "$@"; do
    for dtype in f32 bf16; do
      case $part in
        dino) row 'DINO, ViT-S/16, 2 x 224 and 8 x 96, 4 images' $dtype --method dino --batch 4 ;;
        clip) row 'CLIP, ViT-B/32, 16 pairs, captions of 77' $dtype --method clip --batch 16 ;;
        captions) row 'CLIP, ViT-B/32, 16 pairs, captions of 12' $dtype --method clip --batch 16 --tokens 12 ;;
        *) echo "$0 $part: parts are dino, clip and captions" >&2 && exit 2 ;;
      esac
    done
  done
}
if [ $# -gt 0 ]; then methods "$@" && exit; fi

echo '| model | type | ms | GFLOP/s | of the peak | memory | PyTorch, ms | times as fast | memory, of PyTorch |'
echo '| --- | --- | --- | --- | --- | --- | --- | --- | --- |'
small=(--embed-dim 192 --depth 6 --num-heads 3 --img-size 32 --patch-size 4 --batch 128)
for dtype in f32 bf16; do
  row 'ViT-S/16 on 224, batch 16' $dtype --model vit_small --batch 16
  row 'ViT-B/16 on 224, batch 8' $dtype --model vit_base --batch 8
  row 'dim 192, depth 6, patch 4 on 32, batch 128' $dtype "${small[@]}"
  row 'ViT-S/16, batch 16, checkpointing' $dtype --model vit_small --batch 16 --checkpoint
done
row 'ViT-S/16, forward only, batch 16' f32 --model vit_small --batch 16 --forward-only
row 'ViT-S/16, forward only, batch 1' f32 --model vit_small --batch 1 --forward-only
row 'ViT-S/16, batch 16, one thread' f32 --model vit_small --batch 16 --threads 1
row 'ViT-S/16, batch 16, one thread' bf16 --model vit_small --batch 16 --threads 1
echo
methods dino clip captions
echo
echo 'seconds to the first finished step of vit_digits.yaml:'
bench/first_step.sh
