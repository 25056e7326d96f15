#!/usr/bin/env bash
# What `make test` and `make demo` use of a machine with Ubuntu or Debian, beside Python, git and
# make: off-screen rendering, and the check of package.xml.
set -euo pipefail
as_root=
[ "$(id -u)" -eq 0 ] || as_root=sudo
$as_root apt-get update
$as_root apt-get install --yes --no-install-recommends libosmesa6 libxml2-utils
