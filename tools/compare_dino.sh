#!/bin/bash
# Trains the same small ViT on CIFAR-10 by DINO and by DINOv2, one after the other: the same images seen, the same
# evaluations. Writes OUT/table.md, with both at equal images and at equal time, and the curves OUT/*.png. The logs are
# OUT/dino.log and OUT/dinov2.log.
# Usage: VITRAIL_DATA=/data tools/compare_dino.sh OUT [key=value...]
#        tools/compare_dino.sh runs/dinov2_cifar10                        # two hours on one thread
#        tools/compare_dino.sh /tmp/try train.epochs=2 eval.every=1 data.subset=0.1
# A key=value changes both recipes. A finished run is not repeated, a stopped one is resumed.
# DINO=recipe and DINOV2=recipe take the place of the recipes; TRAIN and VITRAIL of the programs.
set -eu
if [ $# -lt 1 ] || [[ $1 == *=* ]]; then
  sed -n 's/^# Usage: /usage: /p' "$0" >&2
  exit 2
fi
out=$1
shift
here=$(cd "$(dirname "$0")/.." && pwd)
train=${TRAIN:-$here/build/release/bin/train} vitrail=${VITRAIL:-$here/build/release/bin/vitrail}
dino=${DINO:-$here/recipes/dino_vit_cifar10.yaml} dinov2=${DINOV2:-$here/recipes/dinov2_cifar10.yaml}
mkdir -p "$out"

run() { # name, recipe, changes...: trains, or resumes the run
  local folder=$out/$1 recipe=$2
  shift 2
  [ -e "$folder/result.json" ] && return
  if [ -e "$folder/resolved.yaml" ]; then
    "$train" --resume "$folder"
  else
    "$train" "$recipe" out="$folder" "$@"
  fi >>"$folder.log" 2>&1
}

evaluations() { grep '"t": "val"' "$out/$1/metrics.jsonl"; }
number() { sed -n "s/.*\"$1\": *\([0-9.e+-]*\).*/\1/p"; }

# The line of the last evaluation that began within that many seconds of training.
line_at() { # name, seconds
  evaluations "$1" | while IFS= read -r line; do
    awk -v t="$(number time <<<"$line")" -v most="$2" 'BEGIN { exit !(t <= most) }' && echo "$line"
  done | tail -1
}

percent() { awk -v x="$1" 'BEGIN { if (x == "") print "-"; else printf "%.1f%%", 100 * x }'; }

row() { # title, line
  local cells=() metric
  if [ -z "$2" ]; then
    echo "| $1 | no evaluation yet | | | | | |"
    return
  fi
  for metric in knn_top1 linear_top1 patch_knn patch_miou; do cells+=("$(percent "$(number "$metric" <<<"$2")")"); done
  printf '| %s | %s | %.0f min | %s | %s | %s | %s |\n' "$1" "$(number epoch <<<"$2")" \
    "$(awk -v t="$(number time <<<"$2")" 'BEGIN { print t / 60 }')" "${cells[@]}"
}

run dino "$dino" "$@"
run dinov2 "$dinov2" "$@"

# Equal time: all the time of the method that took less.
least=$(for name in dino dinov2; do evaluations $name | tail -1 | number time; done | sort -g | head -1)
{
  echo '| method | epochs | time | k-NN | linear | patches, k-NN | patches, mean IoU |'
  echo '| --- | ---: | ---: | ---: | ---: | ---: | ---: |'
  for name in dino dinov2; do row "$name, all images" "$(evaluations $name | tail -1)"; done
  for name in dino dinov2; do row "$name, equal time" "$(line_at $name "$least")"; done
  last=$(evaluations dinov2 | tail -1)
  for kind in untrained pixels; do
    printf '| %s | | | %s | | %s | |\n' "$kind" "$(percent "$(number knn_top1_$kind <<<"$last")")" \
      "$(percent "$(number patch_knn_$kind <<<"$last")")"
  done
} >"$out/table.md"
for metric in knn_top1 linear_top1 patch_knn feat_rank t_entropy; do
  evaluations dinov2 | grep -q "\"$metric\"" || continue
  "$vitrail" plot "$out/dino" "$out/dinov2" -m $metric -o "$out/$metric.png" >/dev/null
done
"$vitrail" plot "$out/dinov2" -m loss --of train -o "$out/dinov2_loss.png" >/dev/null
"$vitrail" plot "$out/dino" -m loss --of train -o "$out/dino_loss.png" >/dev/null
cat "$out/table.md"
