#!/usr/bin/env bash
# Locks the environments anew: versions and hashes for every platform and Python from 3.11 on.
# Needs uv (python -m pip install uv). Run it when pyproject.toml changes or an audit asks for it.
set -euo pipefail
cd "$(dirname "$0")/.."

lock() { # lock FILE EXTRAS...: write a lock file
  local file=$1
  shift
  uv pip compile pyproject.toml "$@" --quiet --upgrade --universal --python-version 3.11 \
    --generate-hashes --custom-compile-command requirements/lock.sh \
    --output-file "requirements/$file" > /dev/null
}

lock runtime.lock
lock test.lock --extra test --extra lint
