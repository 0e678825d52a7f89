#!/usr/bin/env bash
# Installs the named Debian packages that are missing: debian-packages.sh PACKAGE[?]…
# One with a question mark is left out where apt does not know it.
# As root, or through sudo where it asks no password; else it says which command to run.
set -euo pipefail

command -v dpkg-query >/dev/null || {
    echo "error: this is neither Debian nor Ubuntu; install what these packages hold and try again: $*" >&2
    exit 1
}

is_installed() {
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

is_known() {
    apt-cache show "$1" >/dev/null 2>&1
}

missing=() optional=()
for package in "$@"; do
    if is_installed "${package%\?}"; then
        continue
    elif [[ $package == *\? ]]; then
        optional+=("${package%\?}")
    else
        missing+=("$package")
    fi
done
if [ ${#missing[@]} -eq 0 ]; then
    for package in "${optional[@]}"; do
        is_known "$package" && missing+=("$package")
    done
    optional=()
fi
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

echo "installing Debian packages:" "${missing[@]}" "${optional[@]}" "…"
# One unreachable third-party source fails the update, but not what is installed here.
apt update || true
# Only now: before its first update apt knows no package at all.
for package in "${optional[@]}"; do
    if is_known "$package"; then missing+=("$package"); else echo "apt has no $package: tests that need it are skipped"; fi
done
apt install --no-install-recommends "${missing[@]}" || {
    tail -n 20 "$log" >&2
    echo "error: apt-get could not install ${missing[*]}; its last lines are above" >&2
    exit 1
}
# Debian starts what it installs; the tests start a Prometheus of their own, and end it.
case " ${missing[*]} " in
    *" prometheus "*) "${as_root[@]}" systemctl disable --now prometheus >>"$log" 2>&1 || true ;;
esac
