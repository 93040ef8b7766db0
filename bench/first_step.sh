#!/bin/bash
# Prints the seconds from the start of the process to the first finished step of the digits recipe: five runs, then the
# median.
set -euo pipefail
cd "$(dirname "$0")/.."
train=${1:-build/release/bin/train}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

for i in 1 2 3 4 5; do
  begin=$EPOCHREALTIME
  coproc "$train" recipes/vit_digits.yaml "out=$out/$i" 2>&1
  pid=$!
  while read -r line <&"${COPROC[0]}"; do
    if [[ $line == *" step 1/"* ]]; then break; fi
  done
  end=$EPOCHREALTIME
  kill -KILL "$pid" && wait "$pid" 2>/dev/null || true
  awk "BEGIN { printf \"%.3f\n\", $end - $begin }"
done | sort -n | tee "$out/times"
sed -n '3s/^/median /p' "$out/times"
