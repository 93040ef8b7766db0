#!/bin/bash
# Kills a training run (kill -9) at random moments and resumes it each time. Every second kill hits the writing of a
# checkpoint. Compares the outcome with an undisturbed run: checkpoints byte for byte, metrics.jsonl without times and
# memory use, and the metrics of result.json. If a run ends before all kills are done, another run starts.
# usage: kill_resume.sh KILLS [TRAIN]      TRAIN: the program, by default build/release/bin/train
#        SEED=number repeats the moments of an earlier call
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
kills=${1:?how many kills} train=$(realpath "${2:-$here/build/release/bin/train}")
RANDOM=${SEED:=$$}
work=$(mktemp -d "${TMPDIR:-/tmp}/vitrail-kill.XXXXXX")
pid=
trap '[ -z "$pid" ] || kill -9 "$pid" 2>/dev/null || true; rm -rf "$work"' EXIT

recipe=("$here/recipes/vit_digits.yaml" model.depth=1 model.embed_dim=32 model.patch_size=4 train.batch_size=64
        train.epochs=3 train.checkpoint_every=3 train.log_every=1 train.ema_decay=0.9 out=run)
export VITRAIL_TEST_SLOW_WRITE_MS=10

fail() {
  echo "kill_resume: $* (SEED=$SEED, kill $done_kills)" >&2
  tail -n 5 "$work"/*.log >&2
  exit 1
}
milliseconds() { echo $(($(date +%s%N) / 1000000)); }
half_written() { compgen -G 'run/checkpoints/.*.tmp-*' >/dev/null; }
# The parts of the two files that must not depend on the kills.
metrics() { sed -E 's/, "(time|images_per_s|data_wait|memory_mb)": [^,}]+//g' "$1/run/metrics.jsonl"; }
result() { grep -vE '"(seconds|peak_rss_mb|command)"' "$1/run/result.json"; }
saved_step() { sed -nE 's/.*resuming after step ([0-9]+) of.*/\1/p' "$work/log.log" | tail -n 1; }

done_kills=0 in_writes=0 runs=0
mkdir "$work/whole"
cd "$work/whole"
begin=$(milliseconds)
"$train" "${recipe[@]}" >"$work/whole.log" 2>&1 </dev/null || fail "the undisturbed run failed"
longest=$((($(milliseconds) - begin) * 2 / 3))

# Starts the program once and kills it. Returns 0 if the program ended first.
start_and_kill() {
  local status=0 delay
  if [ -f run/resolved.yaml ]; then
    "$train" --resume run >"$work/log.log" 2>&1 </dev/null &
  else  # the run has not begun
    rm -rf run
    "$train" "${recipe[@]}" >"$work/log.log" 2>&1 </dev/null &
  fi
  pid=$!
  delay=$((RANDOM * longest / 32768))
  sleep "$((delay / 1000)).$(printf %03d $((delay % 1000)))"
  if [ $((done_kills % 2)) = 1 ]; then
    until half_written || ! kill -0 "$pid" 2>/dev/null; do sleep 0.003; done
  fi
  kill -9 "$pid" 2>/dev/null || true
  wait "$pid" 2>/dev/null || status=$?
  pid=
  [ $status = 0 ] && return
  [ $status = 137 ] || fail "the program returned $status"
  done_kills=$((done_kills + 1))
  if half_written; then in_writes=$((in_writes + 1)); fi
  return 1
}

compare() {
  for name in last best; do
    cmp "$work/whole/run/checkpoints/$name.h5" "run/checkpoints/$name.h5" || fail "$name.h5 differs"
  done
  cmp <(metrics "$work/whole") <(metrics .) || fail "metrics.jsonl differs"
  cmp <(result "$work/whole") <(result .) || fail "result.json differs"
}

while [ "$done_kills" -lt "$kills" ]; do
  runs=$((runs + 1)) before=0
  mkdir "$work/run$runs"
  cd "$work/run$runs"
  while [ "$done_kills" -lt "$kills" ]; do
    if start_and_kill; then break; fi
    step=$(saved_step)
    [ "${step:-$before}" -ge "$before" ] || fail "went back from step $before to $step: a checkpoint was lost"
    before=${step:-$before}
  done
  if [ ! -f run/result.json ]; then
    if [ -f run/resolved.yaml ]; then again=(--resume run); else again=("${recipe[@]}"); rm -rf run; fi
    "$train" "${again[@]}" >"$work/log.log" 2>&1 </dev/null || fail "the last resume failed"
  fi
  compare
done
echo "$kills kills in $runs runs, $in_writes of them inside a write: nothing lost, everything equal"
