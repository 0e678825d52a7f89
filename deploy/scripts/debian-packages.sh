#!/usr/bin/env bash
# Installs the named Debian packages that are missing: debian-packages.sh PACKAGE…
# As root, or through sudo where it asks no password; else it says which command to run.
set -euo pipefail

command -v dpkg-query >/dev/null || {
    echo "error: this is neither Debian nor Ubuntu; install what these packages hold and try again: $*" >&2
    exit 1
}

missing=()
for package in "$@"; do
    status=$(dpkg-query --show --showformat '${db:Status-Status}' "$package" 2>/dev/null) || true
    [ "$status" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -eq 0 ]; then
    as_root=(env)
elif sudo -n true 2>/dev/null; then
    as_root=(sudo -n env)
else
    echo "error: Debian packages are missing and installing them needs root; run: sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
apt() {
    "${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -y -o DPkg::Lock::Timeout=300 "$@" </dev/null >>"$log" 2>&1
}

echo "installing Debian packages: ${missing[*]} …"
# One unreachable third-party source fails the update, but not what is installed here.
apt update || true
apt install --no-install-recommends "${missing[@]}" || {
    tail -n 20 "$log" >&2
    echo "error: apt-get could not install ${missing[*]}; its last lines are above" >&2
    exit 1
}
