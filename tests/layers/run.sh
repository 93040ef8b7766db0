#!/bin/sh
# tools/check_layers.sh must pass on the tree. It must fail on each planted fault, one of each kind, and name it.
# usage: run.sh SOURCE_DIR
set -e
source=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/vitrail-layers.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$source/tools/check_layers.sh" "$source"

(cd "$source" && find core autograd nn optim data recipes tools bench tests -name '*.h' -o -name '*.cpp' -o -name '*.yaml' |
  tar -cf - -T -) | tar -xf - -C "$work"

planted() { # FILE LINE PATTERN: adds the line to the file; the complaint must match the pattern
  mkdir -p "$work/$(dirname "$1")"
  [ ! -e "$work/$1" ] || cp "$work/$1" "$work/before"
  echo "$2" >>"$work/$1"
  if "$source/tools/check_layers.sh" "$work" >"$work/complaint"; then
    echo "not noticed: $2 in $1" && exit 1
  fi
  grep -qE "$3" "$work/complaint" || { echo "not named: $2 in $1" && cat "$work/complaint" && exit 1; }
  if [ -e "$work/before" ]; then mv "$work/before" "$work/$1"; else rm "$work/$1"; fi
}

# Against the libraries.
planted core/tensor.cpp '#include "vitrail/autograd/tape.h"' 'core/tensor.cpp:[0-9]+: core may not include vitrail/autograd/tape.h'
planted data/load/loader.cpp '#include "vitrail/nn/module.h"' 'data/load/loader.cpp:[0-9]+: data may not include vitrail/nn'
planted optim/sgd.cpp '#  include <vitrail/recipes/run/loop.h>' 'optim may not include vitrail/recipes'
# Against the rooms of a library.
planted core/io/file.cpp '#include "vitrail/core/kernels/table.h"' 'core/io may not include vitrail/core/kernels'
planted core/kernels/rows.h '#include "vitrail/core/io/file.h"' 'core/kernels may not include vitrail/core/io'
planted core/tensor.h '#include "vitrail/core/io/file.h"' 'core/. may not include vitrail/core/io'
planted core/kernels/isa.cpp '#include "vitrail/core/reference/matmul.h"' 'core/kernels may not include vitrail/core/reference'
planted nn/linear.h '#include "vitrail/nn/models/clip.h"' 'nn/. may not include vitrail/nn/models'
planted data/io/tar.cpp '#include "vitrail/data/sources/dataset.h"' 'data/io may not include vitrail/data/sources'
planted data/load/sampler.h '#include "vitrail/data/augment/mixup.h"' 'data/load may not include vitrail/data/augment'
planted recipes/config/config.h '#include "vitrail/recipes/run/loop.h"' 'recipes/config may not include vitrail/recipes/run'
planted recipes/run/loop.cpp '#include "vitrail/recipes/methods/dino.h"' 'recipes/run may not include vitrail/recipes/methods'
planted recipes/eval/knn.cpp '#include "vitrail/recipes/models/open_model.h"' 'recipes/eval may not include vitrail/recipes/models'
# Private rooms of another library.
planted recipes/run/environment.cpp '#include "vitrail/core/kernels/table.h"' 'recipes may not include vitrail/core/kernels'
planted bench/bench_step.cpp '#include "vitrail/core/dnnl/matmul.h"' 'bench may not include vitrail/core/dnnl'
planted tools/vitrail.cpp '#include "vitrail/core/reference/matmul.h"' 'tools may not include vitrail/core/reference'
# Spelling and third-party headers.
planted nn/linear.cpp '#include "core/ops.h"' 'nn/linear.cpp:[0-9]+:#include "core/ops.h"'
planted tests/nn/test_linear.cpp '#include "../support/close.h"' 'tests/nn/test_linear.cpp'
planted core/ops/matmul.cpp '#include <oneapi/dnnl/dnnl.hpp>' 'dnnl.*core/ops/matmul.cpp|core/ops/matmul.cpp:[0-9]+:.*dnnl.hpp'
planted data/text/tokenizer.cpp '#include <nlohmann/json.hpp>' 'data/text/tokenizer.cpp:[0-9]+:.*nlohmann'
planted recipes/run/loop.cpp '#include <yaml-cpp/yaml.h>' 'recipes/run/loop.cpp:[0-9]+:.*yaml-cpp'
sed -i '1i #include "vitrail/core/error.h"' "$work/nn/norm.cpp"
planted nn/norm.cpp '// its header is the second' '  nn/norm.h in nn/norm.cpp'
sed -i 1d "$work/nn/norm.cpp"
# Outside the rooms.
planted recipes/new_thing.cpp '// lost' '  recipes/new_thing.cpp'
planted data/notes.txt 'lost' '  data/notes.txt'
planted recipes/extras/thing.cpp '// a room that nobody knows' '  recipes/extras'
