#!/bin/sh
# Installs the Debian packages that the programs need and this machine lacks. Arguments name further packages, such as
# doctest-dev for the tests.
set -e
needed="g++ cmake ninja-build libdnnl-dev libhdf5-dev libstb-dev libyaml-cpp-dev nlohmann-json3-dev
        libcli11-dev libfmt-dev zlib1g-dev libxxhash-dev libutf8proc-dev
        libjpeg62-turbo-dev libwebp-dev $*"
missing=""
for package in $needed; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -z "$missing" ] && exit 0
echo "installing:$missing"
as_root=""
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -y -qq --no-install-recommends $missing >/dev/null
