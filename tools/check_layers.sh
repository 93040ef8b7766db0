#!/bin/sh
# Fails, and names each place, if
# - an #include points against the dependencies between libraries, or between the rooms (folders) of a library,
# - a header of ours is included by another name than "vitrail/...", "tools/...", "bench/..." or "tests/...",
# - a third-party header is included outside its place,
# - a file lies outside the rooms.
# usage: check_layers.sh [ROOT]
cd "${1:-$(dirname "$0")/..}" || exit 1

# LIBRARY: the libraries that it may include, except their private rooms (below).
libraries='
core:
autograd: core
nn: core autograd
optim: core autograd nn
data: core
recipes: core autograd nn optim data
tools: core autograd nn optim data recipes
bench: core autograd nn optim data recipes
'
# LIBRARY/ROOM: the rooms of the same library that it may include. "." is the room of the files at a library's top.
rooms='
core/.: kernels
core/io: .
core/comm: .
core/mpi: . comm
core/reference: .
core/dnnl: .
core/kernels: . dnnl
core/ops: . kernels dnnl
autograd/.:
autograd/ops: .
nn/.:
nn/losses: .
nn/models: . losses
nn/weights: . losses models
optim/.:
data/io:
data/image: io
data/text: io
data/sources: io image text
data/load: io image text sources
data/shapes: image sources
data/augment: image load
data/draw: image
recipes/config:
recipes/run: config
recipes/build: config run
recipes/eval: config run build
recipes/generate:
recipes/models: config run build eval
recipes/methods: config run build eval generate models
'
private='core/kernels core/dnnl core/reference'
# Exceptions to the rules: FILE, HEADER OR ROOM, REASON.
exceptions='
core/ops.h core/ops the header of all families
autograd/ops.h autograd/ops the header of all families
'

status=0
sources() { find "$@" -name '*.h' -o -name '*.cpp' | sort; }
complain() { # MESSAGE PLACES: prints both and notes the failure, unless PLACES is empty
  [ -z "$2" ] && return
  printf '%s:\n%s\n' "$1" "$2"
  status=1
}

# Every include of ours as "file:line header".
includes=$(sources core autograd nn optim data recipes tools bench |
  xargs grep -nE '^ *# *include *[<"]vitrail/' /dev/null | sed -E 's|^([^:]*:[0-9]*):.*[<"]vitrail/([^">]*).*|\1 \2|')
against=$({
  echo "$libraries" | sed 's/^/library /'
  echo "$rooms" | sed 's/^/room /'
  echo "$exceptions" | sed 's/^/exception /'
  echo "$private" | sed 's/^/private /'
  echo "$includes" | sed 's/^/include /'
} | awk '
  function room_of(path,  part, n) { n = split(path, part, "/"); return part[1] "/" (n > 2 ? part[2] : ".") }
  function library_of(room) { return substr(room, 1, index(room, "/") - 1) }
  $1 == "library" || $1 == "room" {
    sub(":", "", $2)
    known[$2] = 1
    for (i = 3; i <= NF; ++i) allowed[$2, ($1 == "room" ? library_of($2) "/" : "") $i] = 1
  }
  $1 == "exception" { excepted[$2, $3] = 1 }
  $1 == "private" { for (i = 2; i <= NF; ++i) hidden[$i] = 1 }
  $1 == "include" && NF == 3 {
    file = $2
    sub(":.*", "", file)
    from = room_of(file); to = room_of($3); source = library_of(from); target = library_of(to)
    if (!(target in known) || from == to || (file, $3) in excepted || (file, to) in excepted) next
    if (source == target ? !((from, to) in allowed) : !((source, target) in allowed) || to in hidden)
      print "  " $2 ": " (source == target ? from : source) " may not include vitrail/" $3
  }')
complain 'against the layers' "$against"

complain 'not the spelling of an include: "vitrail/...", "tools/...", "bench/..." and "tests/..." are' "$(
  sources core autograd nn optim data recipes tools bench tests |
    xargs grep -nE '^ *# *include *"' /dev/null | grep -vE '"(vitrail|tools|bench|tests)/' | sed 's/^/  /')"

# So each header compiles alone.
complain 'not the first #include of its source' "$(
  sources core autograd nn optim data recipes | grep '\.cpp$' | while read -r source; do
    header=${source%.cpp}.h
    [ ! -e "$header" ] || grep -m 1 '^#include' "$source" | grep -qF "\"vitrail/$header\"" || echo "  $header in $source"
  done)"

only() { # third-party header, the files that may include it
  complain "$1 is included outside its place ($2)" "$(
    sources core autograd nn optim data recipes tools bench |
      xargs grep -nE "^ *# *include *[\"<]([a-z0-9_/-]*/)?$1" /dev/null | grep -vE "^($2)" | sed 's/^/  /')"
}
only 'dnnl\.hpp' 'core/dnnl/'
only 'hdf5\.h>' 'core/io/hdf5/'
only 'nlohmann/' 'core/io/json\.cpp|tools/|bench/'
only 'stb_image(_write)?\.h' 'data/image/'
only 'j(peglib|error)\.h' 'data/image/jpeg_turbo\.cpp'
only 'webp/' 'data/image/webp\.cpp'
only 'utf8proc\.h' 'data/text/unicode\.cpp'
only 'yaml-cpp/' 'recipes/config/'
only 'mpi\.h' 'core/mpi/'
only 'zlib\.h' 'data/io/|data/image/'
only 'CLI/' 'tools/|bench/'

complain 'a room without rules in tools/check_layers.sh' "$(
  sources core autograd nn optim data recipes | awk -F/ '{ print $1 "/" (NF > 2 ? $2 : ".") }' | sort -u |
    while read -r room; do echo "$rooms" | grep -qF "$room:" || echo "  $room"; done)"
complain 'outside the rooms: at the top of data/ and recipes/ lie recipes and CMakeLists.txt alone' "$(
  find data recipes -maxdepth 1 -type f ! -name '*.yaml' ! -name CMakeLists.txt | sed 's/^/  /')"

exit $status
