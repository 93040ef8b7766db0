#!/bin/bash
# Prints the tables of docs/performance.md: training steps, the forward pass, memory and start-up, beside PyTorch on the
# same steps. All of them in one command:
#   TORCH_PYTHON=/tmp/torch/bin/python ORT_PYTHON=/tmp/ort/bin/python RAW=raw.jsonl bench/tables.sh >tables.md
# Have nothing else running. Progress goes to the standard error. A round takes about a quarter of an hour on two cores
# once PyTorch's compiler has filled its cache, and as long again before.
#
# TORCH_PYTHON: an interpreter with PyTorch 2.x (python3 -m venv /tmp/torch; /tmp/torch/bin/pip install torch)
# ORT_PYTHON: one with ONNX Runtime; see bench/peer_onnxruntime.py
# OLD_PYTHON: one with PyTorch 1.13; /usr/bin/python3 if not given (apt install python3-torch libopenblas0)
# A peer that is not named, or failed, has a dash.
# The share of the peak is of the best product of 2048 x 2048, ours or oneDNN's, in the same run.
# Peers run with their fastest settings (bench/peer_torch.py): the first row of a type searches for them, the first row
# of each method tries both with and without the compiler, and later rows take what was fastest there.
# The sides run in turn, ROUNDS times (1), with STEPS timed steps each (3). The fastest time of each counts.
# RAW=FILE keeps the output of every run. ROWS=PATTERN selects rows by name and type, e.g. ROWS='ViT-S.*bf16'.
# FULL=1 adds rows: DINO and CLIP in f32, short captions, one thread, recompute.
# Arguments select tables: steps, methods, isa, forward, start. isa is bf16 without the matrix unit, on both sides.
set -euo pipefail
cd "$(dirname "$0")/.."
bench=build/release/bin/bench_step
old_python=${OLD_PYTHON:-/usr/bin/python3}
raw=${RAW:-/dev/null}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '%s %s\n' "$(date +%T)" "$*" >&2; }
version_of() { # interpreter, module
  "$1" -c "import $2; print($2.__version__)" 2>/dev/null || true
}
old=$(version_of "$old_python" torch)
new=${TORCH_PYTHON:+$(version_of "$TORCH_PYTHON" torch)}
ort=${ORT_PYTHON:+$(version_of "$ORT_PYTHON" onnxruntime)}
if [ -n "${TORCH_PYTHON:-}" ] && [ -z "$new" ]; then say "TORCH_PYTHON: $TORCH_PYTHON has no torch" && exit 2; fi
if [ -n "${ORT_PYTHON:-}" ] && [ -z "$ort" ]; then say "ORT_PYTHON: $ORT_PYTHON has no onnxruntime" && exit 2; fi

number() { sed -n "s/.*\"$2\": *\([0-9.]*\).*/\1/p" <<<"$1"; } # result, key
text() { sed -n "s/.*\"$2\": *\"\([^\"]*\)\".*/\1/p" <<<"$1"; }
rounded() { if [ -n "$1" ]; then printf '%.0f' "$1"; else printf -- '-'; fi; }
ratio() { # two numbers; a dash if one is missing
  if [ -n "$1" ] && [ -n "$2" ]; then awk "BEGIN { printf \"%.2f\", $1 / $2 }"; else printf -- '-'; fi
}
fastest() { # two results; each may be empty
  if [ -z "$1" ]; then
    echo "$2"
  elif [ -z "$2" ] || awk "BEGIN { exit !($(number "$1" ms) <= $(number "$2" ms)) }"; then
    echo "$1"
  else
    echo "$2"
  fi
}
kept() { # a command; RAW keeps its output. No output if it fails.
  "$@" | tee -a "$raw" || say "failed: $*"
}

declare -A found # interpreter, type and method: the fastest settings
torch() {        # interpreter, type, arguments: sets torch_result
  local python=$1 dtype=$2 settings=() method key first
  shift 2
  method=$(sed -n 's/.*--method \([a-z0-9]*\).*/\1/p' <<<"$*")
  if [[ "$*" == *--forward-only* ]]; then method="forward $4"; fi # the batch size
  key="$python $dtype ${method:-supervised}" first="$python $dtype supervised"
  if [ -n "${found[$key]:-}" ]; then
    settings=(--settings "${found[$key]}" --axes none)
  elif [[ "$*" != *--forward-only* ]] && [ -n "${found[$first]:-}" ]; then
    settings=(--settings "$(sed 's/, "compile": true//; s/"compile": true//' <<<"${found[$first]}")" --axes compile)
  fi
  torch_result=$(kept "$python" bench/peer_torch.py "$@" "${settings[@]}")
  if [ -n "$torch_result" ]; then found[$key]=$(sed -n 's/.*"settings": \({[^}]*}\).*/\1/p' <<<"$torch_result"); fi
}

onnxruntime() { # --model NAME --batch N ...: exports the model and times it in f32
  local exporter=$old_python
  if [ -z "$old" ]; then exporter=$TORCH_PYTHON; fi
  "$exporter" bench/peer_torch.py "$@" --export "$work/model.onnx" >"$work/log" 2>&1 || { tail -n 5 "$work/log" >&2 && return; }
  kept "$ORT_PYTHON" bench/peer_onnxruntime.py "$work/model.onnx" --batch "$4"
}

row() { # name, type, arguments: prints a row. Only Vitrail runs if they end with --alone.
  local name=$1 dtype=$2 ours='' older='' newer='' onnx='' torch_result alone=''
  shift 2
  [[ "$name $dtype" =~ ${ROWS:-.} ]] || return 0
  if [ "${!#}" = --alone ]; then alone=1 && set -- "${@:1:$#-1}"; fi
  local arguments=("$@" --dtype "$dtype" --steps "${STEPS:-3}" --json)
  for ((round = 0; round < ${ROUNDS:-1}; round++)); do
    say "$name, $dtype"
    ours=$(fastest "$ours" "$(kept "$bench" "${arguments[@]}")")
    if [ -n "$alone" ]; then continue; fi
    if [ -n "$old" ]; then torch "$old_python" "$dtype" "${arguments[@]}" && older=$(fastest "$older" "$torch_result"); fi
    if [ -n "$new" ]; then torch "$TORCH_PYTHON" "$dtype" "${arguments[@]}" && newer=$(fastest "$newer" "$torch_result"); fi
    if [ "$table" = forward ] && [ -n "$ort" ]; then onnx=$(fastest "$onnx" "$(onnxruntime "$@")"); fi
  done
  [ -n "$ours" ] || return 0
  local ms peer mode peers=("$older" "$newer")
  if [ "$table" = forward ]; then peers+=("$onnx"); fi
  ms=$(number "$ours" ms)
  printf '| %s | %s | %s | %s | %s | %.0f%% |' "$name" "$dtype" "$(rounded "$ms")" "$(rounded "$(number "$ours" gflops)")" \
    "$(rounded "$(number "$ours" peak_gflops)")" "$(ratio "$(number "$ours" gflops)e2" "$(number "$ours" peak_gflops)")"
  for peer in "${peers[@]}"; do
    mode=$(text "$peer" mode)
    printf ' %s%s | %s |' "$(rounded "$(number "$peer" ms)")" "${mode:+, $mode}" "$(ratio "$(number "$peer" ms)" "$ms")"
  done
  if [ "$table" != forward ]; then
    printf ' %s |' "$(rounded "$(number "$ours" peak_rss_mb)")"
    for peer in "${peers[@]}"; do printf ' %s |' "$(ratio "$(number "$ours" peak_rss_mb)" "$(number "$peer" memory_mb)")"; done
  fi
  echo
}

heading() { # table, title
  table=$1
  local columns="| step | type | ms | GFLOP/s | peak | share | PyTorch ${old:-1.13}, ms | ratio | PyTorch ${new:-2.x}, ms | ratio |"
  if [ "$table" = forward ]; then
    columns+=" ONNX Runtime ${ort:-}, f32, ms | ratio |"
  else
    columns+=" memory, MB | of PyTorch ${old:-1.13} | of PyTorch ${new:-2.x} |"
  fi
  printf '\n**%s**\n\n%s\n%s\n' "$2" "$columns" "$(sed 's/[^|][^|]*/ --- /g' <<<"$columns")"
}

small=(--embed-dim 192 --depth 6 --num-heads 3 --img-size 32 --patch-size 4 --batch 128)
steps() {
  heading steps 'A training step: forward, backward, AdamW'
  local dtype
  for dtype in f32 bf16; do
    row 'ViT-S/16 on 224, batch 16' $dtype --model vit_small --batch 16
    row 'ViT-B/16 on 224, batch 8' $dtype --model vit_base --batch 8
    row 'dim 192, depth 6, patch 4 on 32, batch 128' $dtype "${small[@]}"
    if [ -n "${FULL:-}" ]; then
      row 'ViT-S/16, batch 16, one thread' $dtype --model vit_small --batch 16 --threads 1 --alone
      row 'ViT-S/16, batch 16, checkpointing' $dtype --model vit_small --batch 16 --checkpoint --alone
    fi
  done
}

methods() {
  heading methods 'A step of DINO, DINOv2 and CLIP'
  local dtype
  for dtype in f32 bf16; do
    row 'DINOv2, ViT-S/14, 2 x 224 and 8 x 98, 4 images' $dtype --method dinov2 --batch 4
    if [ $dtype = f32 ] && [ -z "${FULL:-}" ]; then continue; fi
    row 'DINO, ViT-S/16, 2 x 224 and 8 x 96, 4 images' $dtype --method dino --batch 4
    row 'CLIP, ViT-B/32, 16 pairs, captions of 77' $dtype --method clip --batch 16
    if [ -n "${FULL:-}" ]; then row 'CLIP, ViT-B/32, 16 pairs, captions of 12' $dtype --method clip --batch 16 --tokens 12; fi
  done
}

isa() ( # a subshell: the instruction sets hold for these rows alone
  export VITRAIL_ISA=x86-64-v4-bf16 ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16 DNNL_MAX_CPU_ISA=AVX512_CORE_BF16
  heading isa 'bf16 without the matrix unit, on both sides'
  row 'ViT-S/16 on 224, batch 16' bf16 --model vit_small --batch 16
  row 'ViT-B/16 on 224, batch 8' bf16 --model vit_base --batch 8
  row 'dim 192, depth 6, patch 4 on 32, batch 128' bf16 "${small[@]}"
  row 'DINO, ViT-S/16, 2 x 224 and 8 x 96, 4 images' bf16 --method dino --batch 4
  row 'CLIP, ViT-B/32, 16 pairs, captions of 77' bf16 --method clip --batch 16
)

forward() {
  heading forward 'Forward only'
  local dtype
  for dtype in f32 bf16; do
    row 'ViT-S/16, batch 16' $dtype --model vit_small --batch 16 --forward-only
    row 'ViT-S/16, batch 1' $dtype --model vit_small --batch 1 --forward-only
  done
}

start() {
  printf '\n**Seconds to the first finished step of vit_digits.yaml**\n\n'
  bench/first_step.sh
}

if [ $# -eq 0 ]; then
  set -- steps methods forward start
  if grep -q amx_bf16 /proc/cpuinfo; then set -- steps methods isa forward start; fi
fi
for part in "$@"; do
  if [[ " steps methods isa forward start " != *" $part "* ]]; then
    say "$0 $part: tables are steps, methods, isa, forward and start" && exit 2
  fi
done
version=$(sed -n 's/^project(vitrail VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
printf '%s, %s cores; Vitrail %s %s; PyTorch %s and %s; ONNX Runtime %s; %s\n' \
  "$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -n 1)" "$(nproc --all)" "$version" \
  "$(git rev-parse --short HEAD 2>/dev/null || true)" "${old:--}" "${new:--}" "${ort:--}" "$(date +%F)" | tee -a "$raw"
for part in "$@"; do $part; done
say "done in $SECONDS s"
