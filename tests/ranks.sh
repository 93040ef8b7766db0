#!/bin/bash
# Trains the digits as 1, 2 and 4 ranks of mpirun: the checkpoints must be equal, byte for byte. Then stops and kills
# ranks and goes on with another number of them: the checkpoints must be equal still.
# usage: ranks.sh TRAIN VITRAIL; 77: there is no mpirun
set -eu
train=$1 vitrail=$2
command -v mpirun >/dev/null || { echo "ranks: there is no mpirun (openmpi-bin)"; exit 77; }
[ -e "$(dirname "$train")/libvitrail_mpi.so" ] || { echo "ranks: built without MPI (libopenmpi-dev)"; exit 77; }
recipe=$(cd "$(dirname "$0")/.." && pwd)/recipes/vit_digits.yaml
settings=("$recipe" train.epochs=12 train.shards=4 train.mixup=0.2 train.ema_decay=0.9)
export OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

fail() {
  echo "ranks: $*" >&2
  tail -n 8 ./*.log >&2
  exit 1
}
launch() { "$vitrail" launch -n "$1" --threads 1 -- train "${@:2}"; }
compare() {
  for name in last best; do cmp one/checkpoints/$name.h5 "$1/checkpoints/$name.h5" || fail "$1: $name.h5 differs"; done
}
trainers() { pgrep -f "^$train .*$1" || true; }
# Runs a command in the background, and sends the signal to one of its ranks once they have trained for a while.
disturb() { # signal, pattern of the ranks' command lines, command...
  local signal=$1 pattern=$2 ranks status=0 before=0
  shift 2
  [ ! -e mixed/metrics.jsonl ] || before=$(wc -l <mixed/metrics.jsonl)
  "$@" >>disturbed.log 2>&1 &
  local launcher=$!
  for _ in $(seq 300); do
    [ -e mixed/checkpoints/last.h5 ] && [ "$(wc -l <mixed/metrics.jsonl)" -gt "$before" ] && break
    sleep 0.1
  done
  mapfile -t ranks < <(trainers "$pattern")
  [ ${#ranks[@]} -gt 0 ] && kill -"$signal" "${ranks[RANDOM % ${#ranks[@]}]}"
  for _ in $(seq 300); do [ -z "$(trainers "$pattern")" ] && break; sleep 0.1; done
  [ -z "$(trainers "$pattern")" ] || fail "ranks are still there half a minute after SIG$signal"
  wait $launcher || status=$?
  echo "$status"
}

"$train" "${settings[@]}" out=one >one.log 2>&1 || fail "one process failed"
for ranks in 2 4; do
  launch $ranks "${settings[@]}" out=$ranks >$ranks.log 2>&1 || fail "$ranks ranks failed"
  grep -q "on $ranks ranks of 1 thread" $ranks.log || fail "$ranks ranks did not say so"
  compare $ranks
done

code=$(disturb TERM out=mixed launch 4 "${settings[@]}" out=mixed)
[ "$code" = 143 ] || fail "SIGTERM to one rank ended the run with $code"
code=$(disturb KILL "resume mixed" launch 2 --resume mixed)
[ "$code" != 0 ] || fail "the run ended well without a rank"
"$train" --resume mixed >resumed.log 2>&1 || fail "one process could not go on"
compare mixed

# Without the plugin each process would train by itself.
cp "$train" .
code=0
OMPI_COMM_WORLD_SIZE=2 ./train "${settings[@]}" out=none >none.log 2>&1 || code=$?
[ $code = 2 ] && grep -q 'libvitrail_mpi.so' none.log && [ ! -e none ] || fail "no plugin: code $code"
if LD_DEBUG=files "$train" --version 2>&1 | grep -q mpi; then fail "a process alone opens MPI"; fi
echo "1, 2 and 4 ranks, stopped, killed and resumed: the same bytes"
