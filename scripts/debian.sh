#!/usr/bin/env bash
# Installs packages of Debian or Ubuntu that are missing: scripts/debian.sh chromium adb
set -euo pipefail
missing=()
for package in "$@"; do
    if [[ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]]; then
        missing+=("$package")
    fi
done
if [[ ${#missing[@]} -eq 0 ]]; then
    exit 0
fi
run=()
if [[ "$(id --user)" -ne 0 ]]; then
    run=(sudo --non-interactive)
fi
# Lists of packages may be missing or old, as in a fresh container.
"${run[@]}" apt-get update --quiet --quiet
"${run[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install --quiet --quiet --yes --no-install-recommends "${missing[@]}"
