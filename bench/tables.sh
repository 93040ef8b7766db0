#!/bin/bash
# The tables of docs/performance.md: a training step, the forward pass, memory, a second thread and the start, each beside
# oneDNN's best product of the same run, and beside PyTorch where python3-torch is installed. The two sides run in turn,
# ROUNDS times (1), and the fastest of each counts. Five minutes a round; have nothing else running.
# bench/peer_onnxruntime.js says how to add ONNX Runtime.
set -euo pipefail
cd "$(dirname "$0")/.."
bench=build/release/bin/bench_step
peer=(env "OPENBLAS_CORETYPE=${OPENBLAS_CORETYPE:-SKYLAKEX}" /usr/bin/python3 bench/peer_torch.py --one)
has_torch() { /usr/bin/python3 -c 'import torch' 2>/dev/null; }

field() { sed -n "s/.*\"$2\": *\([0-9.]*\).*/\1/p" <<<"$1"; }
round() { printf '%.0f' "$1"; }
ratio() { awk "BEGIN { printf \"%.2f\", $1 / $2 }"; }

fastest() { # two results, of which the first may be empty
  if [ -z "$1" ] || awk "BEGIN { exit !($(field "$2" ms) < $(field "$1" ms)) }"; then echo "$2"; else echo "$1"; fi
}

row() { # name, type, arguments: a line of the table
  local name=$1 dtype=$2 ours='' theirs='' line
  shift 2
  for ((round = 0; round < ${ROUNDS:-1}; round++)); do
    ours=$(fastest "$ours" "$("$bench" "$@" --dtype "$dtype" --json)")
    # PyTorch has no checkpointing here: it is compared without.
    if has_torch; then theirs=$(fastest "$theirs" "$("${peer[@]}" "${@/--checkpoint/--json}" --dtype "$dtype")"); fi
  done
  line="| $name | $dtype | $(round "$(field "$ours" ms)") | $(round "$(field "$ours" gflops)") |"
  line+=" $(awk "BEGIN { printf \"%.0f\", 100 * $(field "$ours" share_of_peak) }")% | $(round "$(field "$ours" peak_rss_mb)") MB |"
  if [ -n "$theirs" ]; then
    line+=" $(round "$(field "$theirs" ms)") | $(ratio "$(field "$theirs" ms)" "$(field "$ours" ms)") |"
    line+=" $(ratio "$(field "$ours" peak_rss_mb)" "$(field "$theirs" peak_rss_mb)") |"
  fi
  echo "$line"
}

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
echo 'seconds to the first finished step of vit_digits.yaml:'
bench/first_step.sh
