#!/bin/sh
# tools.sh: what `make test` needs beside cargo and a C compiler. Installs it with apt as root, else says what to install.
set -eu
missing=
need() { # command, Debian package
    command -v "$1" >/dev/null 2>&1 || missing="$missing $2"
}
need c++ g++
need cmake cmake
need pkg-config pkg-config
need valgrind valgrind
need nm binutils
need curl-config libcurl4-openssl-dev
need python3 python3
# The Python binding: an environment of its own, and a compiled module.
python3 -c "import ensurepip, venv" >/dev/null 2>&1 || missing="$missing python3-venv"
python3 -c "import os, sysconfig; os.stat(os.path.join(sysconfig.get_paths()['include'], 'Python.h'))" >/dev/null 2>&1 || missing="$missing python3-dev"
# valgrind does not start without the C library's debugging symbols where the loader is stripped.
if [ -e /etc/debian_version ] && [ ! -e /usr/share/doc/libc6-dbg ]; then
    missing="$missing libc6-dbg"
fi
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    apt-get update -qq
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing
else
    echo "make test needs:$missing (Debian's names); install them and run it again" >&2
    exit 1
fi
