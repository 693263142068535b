#!/bin/sh
# demo.sh SERVER PROGRAM PATH: starts the paying test server and lets the program pay it; it gets the URL of the path.
# The server ends when its input does.
set -eu
server=$1
program=$2
path=$3
scratch=$(mktemp -d)
trap 'exec 3>&-; rm -rf "$scratch"' EXIT
mkfifo "$scratch/in" "$scratch/out"
"$server" --demo <"$scratch/in" >"$scratch/out" &
exec 3>"$scratch/in"
read -r _ url <"$scratch/out"
"$program" "$url$path"
