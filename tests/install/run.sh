#!/bin/sh
# Installs a build to a temporary prefix, builds examples/ and the README's program against it as a stranger would, and
# runs them.
# usage: run.sh SOURCE_DIR BUILD_DIR
set -e
source=$1 build=$2
work=$(mktemp -d "${TMPDIR:-/tmp}/vitrail install.XXXXXX") # with a space, on purpose
trap 'rm -rf "$work"' EXIT
cmake --install "$build" --prefix "$work/prefix" >/dev/null
cp -r "$source/examples" "$work/examples"

# The README's first C++ block: its includes, and the rest as the body of a program.
snippet=$(sed -n '/^```cpp$/,/^```$/p' "$source/README.md" | sed '/^```/d')
{
  echo "$snippet" | grep -E '^(#include|using)'
  echo 'int main() {'
  echo '  const Tensor images = zeros({2, 3, 224, 224}), labels = zeros({2}, DType::i64);'
  echo "$snippet" | grep -vE '^(#include|using)'
  echo '}'
} >"$work/examples/readme.cpp"

cmake -S "$work/examples" -B "$work/build" -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release \
  -DCMAKE_CXX_FLAGS="-Wall -Wextra -Werror" >/dev/null
cmake --build "$work/build" -j 2
ctest --test-dir "$work/build" --output-on-failure
