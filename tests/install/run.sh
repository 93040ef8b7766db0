#!/bin/sh
# Installs a build to a temporary prefix, builds examples/ and the README's program against it as a user would, and runs
# them.
# usage: run.sh SOURCE_DIR BUILD_DIR
set -e
source=$1 build=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/vitrail install.XXXXXX") # with a space, on purpose
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >/dev/null
[ -e "$work/prefix/share/doc/vitrail/tutorial.md" ]
cp -r "$work/prefix/share/vitrail/examples" "$work/examples"

# Checks the installed headers: none is private, none includes a third-party library, and each compiles alone.
include=$work/prefix/include
for room in core/kernels core/dnnl core/reference core/io/hdf5; do
  [ ! -e "$include/vitrail/$room" ] || { echo "the private $room is installed" && exit 1; }
done
if grep -rnE '#include <(oneapi|hdf5|nlohmann|yaml-cpp|stb|jpeglib|webp|utf8proc|zlib|xxhash|fmt|CLI)' "$include"; then
  echo "these public headers include a library that is used inside" && exit 1
fi
grep -rhoE '#include "vitrail/[^"]+' "$include" | sed 's/.*"//' | sort -u | while read -r header; do
  [ -e "$include/$header" ] || { echo "public headers include the private $header" && exit 1; }
done
# A header with a source of its name is the first that the source includes (tools/check_layers.sh), so it does.
find "$include/vitrail" -name '*.h' -printf '%P\n' | while read -r header; do
  [ -e "$source/${header%.h}.cpp" ] || echo "$header"
done >"$work/headers"
tr '\n' '\0' <"$work/headers" | xargs -0 -P 2 -I '{}' \
  g++ -std=c++20 -fopenmp -fsyntax-only -Wall -Wextra -Werror -I "$include" -include 'vitrail/{}' -x c++ /dev/null

# The README's first C++ block: its includes, and the rest as the body of a program.
snippet=$(sed -n '/^```cpp$/,/^```$/p' "$source/README.md" | sed '/^```/d')
{
  echo "$snippet" | grep -E '^(#include|using)'
  echo 'int main() {'
  echo '  const Tensor images = zeros({2, 3, 224, 224}), labels = zeros({2}, DType::i64);'
  echo "$snippet" | grep -vE '^(#include|using)'
  echo '}'
} >"$work/examples/readme.cpp"

# Runs the tutorial's programs and compares their output with the tutorial.
mkdir "$work/tutorial"
awk -v out="$work/tutorial" -f "$source/tests/install/snippets.awk" "$source/docs/tutorial.md"
cp "$work/tutorial"/*.cpp "$work/examples"

cmake -S "$work/examples" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" >/dev/null
cmake --build "$work/build" -j 2
ctest --test-dir "$work/build" --output-on-failure

cd "$work"
programs=0
for expected in tutorial/*.txt; do
  name=$(basename "$expected" .txt)
  "build/$name" >"$name.out"
  diff "$expected" "$name.out" || { echo "docs/tutorial.md shows another output of $name" && exit 1; }
  programs=$((programs + 1))
done
[ "$programs" = 3 ]
build/rotations tutorial/rotations.yaml data.root="$source/recipes/assets/digits8" out=turned --plain >rotations.txt
grep -qE 'epoch 6/6 .*top1 [6-9][0-9]\.' rotations.txt || { cat rotations.txt && exit 1; }

# A user's method: a run that stops after one epoch and resumes ends with the same checkpoint as a whole run.
mae() { build/custom_recipe "$@" --plain >mae.txt 2>&1 || { cat mae.txt && exit 1; }; }
mae examples/mae.yaml data.root="$source/recipes/assets/digits8" schedule.name=constant schedule.warmup_epochs=0 \
  train.epochs=2 out=whole
mae examples/mae.yaml data.root="$source/recipes/assets/digits8" schedule.name=constant schedule.warmup_epochs=0 \
  train.epochs=1 out=parts
cmp -s whole/checkpoints/last.h5 parts/checkpoints/last.h5 && echo 'an epoch less made no difference' && exit 1
mae --resume parts train.epochs=2
cmp whole/checkpoints/last.h5 parts/checkpoints/last.h5

# The examples that need a published model get one with random weights. Their results must equal those of the commands.
vitrail=$work/prefix/bin/vitrail assets=$source/recipes/assets/emoji_captions
tar -xzf "$assets/val.tar.gz" # drawings, twemoji/*.png
set -- $(find twemoji -name '*.png' | sort | head -n 3)
"$vitrail" tokenizer "$assets/captions.val.tsv" --size 600 -o vocab >/dev/null
"$vitrail" init --arch ViT-S-32-alt --vocab vocab -o clip >/dev/null
"$vitrail" init --arch dino_vit_s16 -o dino.safetensors --layout dino >/dev/null
same() { # PATTERN FILE FILE: both files have the same figures, in any order, and at least one
  figures=$(grep -oE "$1" "$2" | sort)
  [ -n "$figures" ] && [ "$figures" = "$(grep -oE "$1" "$3" | sort)" ] && return
  echo "examples and vitrail differ:" && cat "$2" "$3" && exit 1
}
build/zero_shot clip "$1" 'a flag' 'a button' 'two people' >example.txt
"$vitrail" zero-shot -m clip "$1" --labels 'a flag' 'a button' 'two people' >command.txt
same '[0-9]+\.[0-9]{2}%' example.txt command.txt
build/features dino.safetensors "$@" >example.txt
"$vitrail" similarity -m dino.safetensors "$@" >command.txt
same '[01]\.[0-9]{3}' example.txt command.txt
