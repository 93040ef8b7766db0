#!/bin/sh
# Fails if an #include points against the dependencies: core <- autograd <- nn <- optim <- recipes, and
# core <- data <- recipes. Fails too if a third-party header is included outside its place.
cd "$(dirname "$0")/.." || exit 1
status=0

forbid() { # folder, pattern of the folders that it may not include
  found=$(grep -rnE "#include [\"<](\.\./)?($2)/" "$1" --include='*.h' --include='*.cpp')
  [ -z "$found" ] && return
  printf 'against the layers (%s may not include %s):\n%s\n' "$1" "$2" "$found"
  status=1
}
forbid core 'autograd|nn|optim|data|recipes'
forbid autograd 'nn|optim|data|recipes'
forbid nn 'optim|data|recipes'
forbid optim 'data|recipes'
forbid data 'autograd|nn|optim|recipes'

only() { # header, the files that may include it
  found=$(grep -rnE "#include [\"<]([a-z0-9_/-]*/)?$1" core autograd nn optim data recipes tools bench --include='*.h' --include='*.cpp' |
    grep -vE "^($2)")
  [ -z "$found" ] && return
  printf '%s is included outside its place (%s):\n%s\n' "$1" "$2" "$found"
  status=1
}
only 'dnnl\.hpp' 'core/dnnl/'
only 'hdf5\.h>' 'core/hdf5'
only 'stb_image(_write)?\.h' 'data/image\.cpp|data/stb'
only 'yaml-cpp/' 'recipes/'
only 'CLI/' 'tools/command_line\.cpp'
only 'utf8proc\.h' 'data/text/unicode\.cpp'

exit $status
