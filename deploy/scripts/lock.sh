#!/usr/bin/env bash
# Regenerates requirements/*.txt from pyproject.toml: lock.sh [--upgrade]
# dev.txt holds everything; the smaller sets are cut from it, so a package has one version everywhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Nothing of the machine's index settings may enter the files.
compile() {
    .venv/bin/pip-compile --quiet --allow-unsafe --strip-extras --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-emit-options --no-header "$@" pyproject.toml
}

compile "$@" --extra local --extra dev --output-file requirements/dev.txt
compile --extra local --constraint requirements/dev.txt --output-file requirements/local.txt
compile --constraint requirements/dev.txt --output-file requirements/runtime.txt
compile --only-build-deps --build-deps-for editable --constraint requirements/dev.txt --output-file requirements/build.txt
