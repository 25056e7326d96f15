#!/usr/bin/env bash
# Checks that every package that a ROS 2 from apt needs besides has a wheel, for each Python and both
# processors. Nothing is installed. Needs uv of env/requirements-tools.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."
for processor in x86_64 aarch64; do
  for python in 3.10 3.12 3.14; do
    uv pip compile --quiet --no-header --no-annotate --only-binary :all: \
      --python-version "$python" --python-platform "$processor-manylinux_2_28" \
      --constraint env/constraints-apt.txt env/requirements-apt.txt > /dev/null
    echo "resolves: Python $python on $processor"
  done
done
