#!/bin/sh
# demo.sh SERVER DEMO: starts the paying test server and lets the demo pay it. The server ends when its input does.
set -eu
server=$1
demo=$2
scratch=$(mktemp -d)
trap 'exec 3>&-; rm -rf "$scratch"' EXIT
mkfifo "$scratch/in" "$scratch/out"
"$server" --demo <"$scratch/in" >"$scratch/out" &
exec 3>"$scratch/in"
read -r _ url <"$scratch/out"
"$demo" "$url/upload"
