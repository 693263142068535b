#!/bin/sh
# run.sh BUILD: installs into a temporary prefix, by way of a staging directory as packagers do, moves the tree, and builds
# an outside program against it in each way there is.
set -eu
build=$1
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
say() { printf 'install: %s\n' "$*"; }
# Runs a program that must succeed, and shows what it said.
try() { what=$1; shift; said=$("$@") || fail "$what: the program failed: $said"; say "$what: $said"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 1; }

DESTDIR="$scratch/stage" cmake --install "$build" --prefix /opt/x402 >/dev/null
prefix=$scratch/prefix
mv "$scratch/stage/opt/x402" "$prefix"
[ -z "$(find "$scratch/stage" -type f)" ] || fail "files outside of the prefix: $(find "$scratch/stage" -type f)"
lib=$(dirname "$(find "$prefix" -name libx402.a)")

for file in "$prefix/include/x402.h" "$prefix/include/x402.hpp" "$prefix/include/x402/client.hpp" "$lib/libx402.so" "$lib/libx402.a" "$lib/pkgconfig/x402.pc" \
    "$lib/cmake/x402/x402Config.cmake" "$lib/cmake/x402/x402ConfigVersion.cmake"; do
    [ -e "$file" ] || fail "$file is missing"
done
version=$(sed -n 's/^#define X402_VERSION "\(.*\)"/\1/p' "$prefix/include/x402.h")
abi=$(sed -n 's/^#define X402_ABI_VERSION //p' "$prefix/include/x402.h")
[ "$(readlink "$lib/libx402.so")" = "libx402.so.$abi" ] || fail "libx402.so does not point to libx402.so.$abi"
[ "$(readlink "$lib/libx402.so.$abi")" = "libx402.so.$version" ] || fail "libx402.so.$abi does not point to libx402.so.$version"
if grep -rl "$build" "$prefix/lib"*/pkgconfig "$prefix/lib"*/cmake; then fail "a file names the build directory"; fi

export PKG_CONFIG_PATH="$lib/pkgconfig"
[ "$(pkg-config --modversion x402)" = "$version" ] || fail "x402.pc says another version"
# shellcheck disable=SC2046
cc -std=c99 -Wall -Wextra -Werror "$here/app.c" $(pkg-config --cflags --libs x402) -o "$scratch/shared"
try pkg-config env LD_LIBRARY_PATH="$lib" "$scratch/shared"
# shellcheck disable=SC2046
c++ -std=c++17 -Wall -Wextra -Werror "$here/app.cpp" $(pkg-config --cflags --libs x402) -o "$scratch/shared-cpp"
try "pkg-config, C++" env LD_LIBRARY_PATH="$lib" "$scratch/shared-cpp"
LD_LIBRARY_PATH="$lib" ldd "$scratch/shared" | grep -q "libx402.so.$abi => $lib/" || fail "it does not load libx402.so.$abi"

mkdir "$scratch/only-static"
cp "$lib/libx402.a" "$scratch/only-static"
# shellcheck disable=SC2046
cc -std=c99 -Wall -Wextra -Werror "$here/app.c" -L"$scratch/only-static" \
    $(pkg-config --static --cflags --libs x402 | sed 's/-lx402/-l:libx402.a/') -o "$scratch/static"
if ldd "$scratch/static" | grep libx402; then fail "the static program loads the shared object"; fi
try "pkg-config --static" "$scratch/static"

cmake -S "$here" -B "$scratch/outside" -DCMAKE_PREFIX_PATH="$prefix" >/dev/null
cmake --build "$scratch/outside" >/dev/null
try "find_package, shared" "$scratch/outside/app_shared"
try "find_package, static" "$scratch/outside/app_static"
try "find_package, C++" "$scratch/outside/app_cpp"
if ldd "$scratch/outside/app_static" | grep libx402; then fail "the static program loads the shared object"; fi
say "all six work"
