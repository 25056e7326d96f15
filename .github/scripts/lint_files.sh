#!/usr/bin/env bash
# Linters of what is no Python: workflows, shell scripts, container files, YAML with a schema.
# Needs the tools of env/requirements-tools.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."
set -x
shellcheck .github/scripts/*.sh .ci/run
actionlint
zizmor --offline --quiet .github/workflows
check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml \
  .github/ISSUE_TEMPLATE/feature.yml
check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
hadolint Dockerfile
