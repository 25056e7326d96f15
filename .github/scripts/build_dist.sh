#!/usr/bin/env bash
# Builds source distribution and wheel into build/dist (or the folder given), and checks them.
# Needs build and twine of env/requirements-tools.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-build/dist}
# What git knows, in a folder of its own: no file that lies about gets into a package.
source=$(mktemp -d)
trap 'rm -rf "$source"' EXIT
git ls-files -z | xargs -0 cp --parents --target-directory "$source"
rm -rf "$out"
python3 -m build --outdir "$out" "$source"
python3 -m twine check --strict "$out"/*
