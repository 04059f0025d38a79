#!/bin/sh
# Bundles the dashboard into the folder $1. Installs what package-lock.json says when it is missing.
set -eu
out=$(realpath "$1")
cd "$(dirname "$0")"
if [ ! -d node_modules/esbuild ] || [ ! -d node_modules/uplot ]; then
    npm ci --no-audit --no-fund --loglevel=error >&2
fi
exec node build.mjs "$out"
