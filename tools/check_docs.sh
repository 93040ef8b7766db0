#!/bin/sh
# Fails, and prints each place, if the API reference lacks the text of a public function or class, or if Doxygen cannot
# read a comment. Data members, enums, typedefs and structs of plain data may speak for themselves.
# usage: check_docs.sh [ROOT]
cd "${1:-$(dirname "$0")/..}" || exit 1
if ! command -v doxygen >/dev/null; then
  echo "check_docs: doxygen is not installed (Debian package doxygen)" >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
{ cat docs/Doxyfile && echo "OUTPUT_DIRECTORY = $work"; } | doxygen - >/dev/null 2>"$work/messages" || {
  cat "$work/messages"
  exit 1
}

# Doxygen calls classes and structs compounds; the source tells which of them it is.
sort -u "$work/messages" | grep -vE '\((variable|enumeration|typedef)\) of .* is not documented' |
  while IFS= read -r message; do
    case $message in
    *'warning: Compound '*)
      file=${message%%:*}
      line=${message#*:}
      sed -n "${line%%:*},+1p" "$file" | grep -qE '^ *(template <.*> *)?class ' || continue
      ;;
    esac
    echo "  ${message#"$PWD/"}"
  done >"$work/problems"
[ ! -s "$work/problems" ] && exit 0
echo "missing or broken comments of the API reference:"
cat "$work/problems"
exit 1
