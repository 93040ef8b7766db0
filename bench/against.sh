#!/bin/bash
# Compares two builds of bench_step on the rows of the first table of docs/performance.md.
#   bench/against.sh OLD NEW         programs; ROUNDS (10) and STEPS (3) are read from the environment
# Each round runs the old program, a copy of it, and the new one in turn. The fastest of all rounds counts. The new
# program is no slower if it exceeds the old one by no more than the old one differs from its copy.
# Have nothing else running. RAW=FILE keeps the output of every run.
set -euo pipefail
old=$1 new=$2
copy=$(mktemp) && trap 'rm -f "$copy"' EXIT && cp "$old" "$copy" && chmod +x "$copy"

ms() { # program, arguments
  "$@" --steps "${STEPS:-3}" --json | tee -a "${RAW:-/dev/null}" | sed -n 's/.*"ms": *\([0-9.]*\).*/\1/p'
}
least() { printf '%s\n' "$@" | sort -g | head -n 1; }

echo '| step | type | old, ms | its copy | new | new / old | copy / old |'
echo '| --- | --- | --- | --- | --- | --- | --- |'
row() { # name, type, arguments
  local name=$1 dtype=$2 a=() b=() c=()
  shift 2
  for ((round = 0; round < ${ROUNDS:-10}; round++)); do
    a+=("$(ms "$old" "$@" --dtype "$dtype")")
    b+=("$(ms "$copy" "$@" --dtype "$dtype")")
    c+=("$(ms "$new" "$@" --dtype "$dtype")")
  done
  awk -v name="$name" -v type="$dtype" -v a="$(least "${a[@]}")" -v b="$(least "${b[@]}")" -v c="$(least "${c[@]}")" \
    'BEGIN { printf "| %s | %s | %.0f | %.0f | %.0f | %.3f | %.3f |\n", name, type, a, b, c, c / a, b / a }'
}
small=(--embed-dim 192 --depth 6 --num-heads 3 --img-size 32 --patch-size 4 --batch 128)
for dtype in f32 bf16; do
  row 'ViT-S/16 on 224, batch 16' $dtype --model vit_small --batch 16
  row 'ViT-B/16 on 224, batch 8' $dtype --model vit_base --batch 8
  row 'dim 192, depth 6, patch 4 on 32, batch 128' $dtype "${small[@]}"
done
