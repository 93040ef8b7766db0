#!/bin/sh
# Checks the build inside a parent project: it builds only the libraries and changes no variable of the parent. Built as
# shared libraries, it exports only namespace vitrail.
# usage: guest.sh SOURCE_DIR
set -e
source=$1
work=$(mktemp -d "${TMPDIR:-/tmp}/vitrail guest.XXXXXX") # with a space, on purpose
trap 'rm -rf "$work"' EXIT

mkdir "$work/parent"
cat >"$work/parent/CMakeLists.txt" <<'EOT'
cmake_minimum_required(VERSION 3.25)
project(parent LANGUAGES CXX)
set(watched CMAKE_BUILD_TYPE CMAKE_CXX_STANDARD CMAKE_CXX_EXTENSIONS CMAKE_CXX_FLAGS CMAKE_MODULE_PATH
            CMAKE_POSITION_INDEPENDENT_CODE CMAKE_RUNTIME_OUTPUT_DIRECTORY CMAKE_LIBRARY_OUTPUT_DIRECTORY
            CMAKE_ARCHIVE_OUTPUT_DIRECTORY CMAKE_UNITY_BUILD CMAKE_EXPORT_COMPILE_COMMANDS BUILD_SHARED_LIBS BUILD_TESTING)
foreach(name ${watched})
  set(before_${name} "${${name}}")
endforeach()
add_subdirectory("${VITRAIL}" vitrail)
foreach(name ${watched})
  if(NOT "${${name}}" STREQUAL "${before_${name}}")
    message(SEND_ERROR "${name} was \"${before_${name}}\" and is \"${${name}}\"")
  endif()
endforeach()
foreach(target train vitrail check_reference bench_step test_core tests)
  if(TARGET ${target})
    message(SEND_ERROR "a guest has the target ${target}")
  endif()
endforeach()
foreach(library core autograd nn optim data recipes vitrail)
  if(NOT TARGET vitrail::${library})
    message(SEND_ERROR "vitrail::${library} is missing")
  endif()
endforeach()
EOT
cmake -S "$work/parent" -B "$work/parent/build" -DVITRAIL="$source" >/dev/null
echo "inside a parent project: right"

cmake -S "$source" -B "$work/shared" -G Ninja -DBUILD_SHARED_LIBS=ON -DVITRAIL_UNITY=ON -DVITRAIL_BUILD_PROGRAMS=OFF \
  -DVITRAIL_BUILD_TESTS=OFF -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 >/dev/null
cmake --build "$work/shared" --target vitrail_core vitrail_autograd >"$work/log" || { cat "$work/log" && exit 1; }
for library in core autograd; do
  file=$work/shared/$library/libvitrail_$library.so
  [ -e "$file" ] || { echo "there is no $file" && exit 1; }
  nm -DC --defined-only "$file" | cut -d' ' -f3- >"$work/names"
  if ! grep -q '^vitrail::' "$work/names" ||
    grep -vE '^((vtable|VTT|typeinfo|typeinfo name|guard variable|(non-)?virtual thunk) (for|to) )?vitrail::' "$work/names"; then
    echo "libvitrail_$library.so exports these names from outside namespace vitrail, or none within" && exit 1
  fi
done
echo "as shared libraries: right"
