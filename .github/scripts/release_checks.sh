#!/usr/bin/env bash
# Checks that a tag is that of the version in this checkout, and prints that version's part of the
# change log, for the notes of the release:
#   .github/scripts/release_checks.sh 1.0.0 > notes.rst
set -euo pipefail
cd "$(dirname "$0")/../.."
tag=${1:?name the tag}
version=$(python3 - << 'PROGRAM'
import re
print(re.search('<version>(.+)</version>', open('package.xml').read())[1])
PROGRAM
)
if [ "$tag" != "$version" ]; then
  echo "found the tag '$tag', expected '$version', the version of package.xml; tag the commit of" \
    "that version, or raise the version (test/package/test_release.py lists where it stands)" >&2
  exit 1
fi
# From its heading to the next one.
notes=$(awk -v version="$version" '
  /^[0-9]+[.][0-9]+[.][0-9]+ [(]/ { inside = index($0, version " (") == 1 }
  inside' CHANGELOG.rst)
if [ -z "$notes" ]; then
  echo "CHANGELOG.rst has no part for $version: give it one, with a heading such as" \
    "'$version (2026-11-29)'" >&2
  exit 1
fi
printf '%s\n' "$notes"
