#!/bin/bash
# Writes the drawings of recipes/assets/emoji_captions as an image folder: OUT/train/CATEGORY/VENDOR/CODE.png, and the
# same in OUT/val.
# Usage: tools/emoji_by_category.sh OUT
#        tools/emoji_by_category.sh runs/drawings && train recipes/dino_emoji.yaml data.root=runs/drawings
set -euo pipefail
[ $# = 1 ] || { sed -n 's/^# Usage: /usage: /p' "$0" >&2; exit 2; }
assets=$(cd "$(dirname "$0")/../recipes/assets/emoji_captions" && pwd)
for part in train val; do
  mkdir -p "$1/$part"
  tar -xzf "$assets/$part.tar.gz" -C "$1/$part"
  # A category caption, such as "grinning face, face smiling, smileys and emotion", ends with the category.
  awk -F'\t' '$3 == "category" { n = split($2, words, ", "); split($1, path, "/"); print words[n] "/" path[1] "\t" $1 }' \
    "$assets/captions.$part.tsv" | sort >"$1/$part.tsv"
  cut -f1 "$1/$part.tsv" | uniq | while read -r folder; do
    mkdir -p "$1/$part/$folder"
    awk -F'\t' -v folder="$folder" '$1 == folder { print $2 }' "$1/$part.tsv" |
      (cd "$1/$part" && xargs mv -t "$folder")
  done
  rm "$1/$part.tsv"
  find "$1/$part" -mindepth 1 -type d -empty -delete
done
