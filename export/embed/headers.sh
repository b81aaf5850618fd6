#!/bin/sh
# headers.sh DIR: put ONNX Runtime's C++ headers into DIR, from Debian's package libonnxruntime-dev, without installing it.
# On a Debian older than 13 the package comes from Debian 13 (trixie), through the mirror that apt already uses.
set -eu
[ $# -eq 1 ] || { echo "usage: headers.sh DIR" >&2; exit 2; }
[ ! -f "$1/onnxruntime_cxx_api.h" ] || exit 0
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
    echo "headers.sh needs a Debian system: take the headers from an ONNX Runtime release instead" >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fetch() { (cd "$work" && apt-get -qq "$@" download libonnxruntime-dev) >/dev/null 2>&1; }

if ! fetch; then
    mirror=$(sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] *\)\{0,1\}\([^ ]*\) .*/\2/p' \
        /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v security | head -n 1)
    [ -n "$mirror" ] || { echo "headers.sh: apt has no mirror: take the headers from an ONNX Runtime release" >&2; exit 1; }
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
    key=/usr/share/keyrings/debian-archive-keyring.gpg
    echo "deb [signed-by=$key] $mirror trixie main" >"$work/sources.list"
    set -- "$1" -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=- \
        -o "Dir::State::lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
    into=$1
    shift
    apt-get -qq "$@" update >/dev/null 2>&1 && fetch "$@" || {
        echo "headers.sh: libonnxruntime-dev cannot be fetched: take the headers from an ONNX Runtime release" >&2; exit 1; }
    set -- "$into"
fi
dpkg-deb -x "$work"/libonnxruntime-dev_*.deb "$work/files"
mkdir -p "$1"
cp -R "$work/files/usr/include/onnxruntime/." "$1/"
echo "$1"
