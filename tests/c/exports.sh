#!/bin/sh
# exports.sh HEADER LIBRARY: the functions of the header are the symbols of the library, no more and no less; its soname and
# flags are right.
set -eu
header=$1
library=$2
abi=$(sed -n 's/^#define X402_ABI_VERSION //p' "$header")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sed -n 's/^X402_API [^(]*[ *]\(x402_[a-z_0-9]*\)(.*/\1/p' "$header" | sort >"$scratch/declared"
nm -D --defined-only "$library" | sed -n "s/.* [TtWwDdBbRr] //p" | sort >"$scratch/exported"
sed "s/\$/@@X402_$abi/" "$scratch/declared" >"$scratch/wanted"
[ "$(wc -l <"$scratch/declared")" -gt 50 ] || { echo "the header was not read" >&2; exit 1; }
diff "$scratch/wanted" "$scratch/exported"
readelf -dW "$library" | grep -q "soname: \[libx402.so.$abi\]" || { echo "the soname is not libx402.so.$abi" >&2; exit 1; }
readelf -dW "$library" | grep -q NODELETE || { echo "it may be unloaded" >&2; exit 1; }
