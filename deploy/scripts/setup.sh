#!/usr/bin/env bash
# Makes .venv ready for one set of packages: setup.sh runtime|local|dev
# A stamp keyed on the lock files makes a second run instant. pip's own settings (PIP_*, pip.conf, proxies) apply.
set -euo pipefail

readonly set_name=${1:?usage: setup.sh runtime|local|dev}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
readonly root venv="$root/.venv" lock="$root/requirements/$set_name.txt"

fail() {
    printf 'error: %s\n' "$1" >&2
    exit 1
}

[ -f "$lock" ] || fail "$set_name: no requirements/$set_name.txt; use runtime, local or dev"

in_supported_range() {
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' >/dev/null 2>&1
}

can_make_venvs() {
    "$1" -c 'import ensurepip, venv' >/dev/null 2>&1
}

# A name on the PATH may be a version switcher's shim that refuses to run, so each candidate is tried.
find_python() {
    local candidate first=
    if [ -n "${PYTHON:-}" ]; then
        in_supported_range "$PYTHON" || fail "PYTHON=$PYTHON is not a Python 3.11 or 3.12"
        echo "$PYTHON"
        return
    fi
    for candidate in python3.11 python3.12 python3 /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3; do
        in_supported_range "$candidate" || continue
        if can_make_venvs "$candidate"; then
            echo "$candidate"
            return
        fi
        first=${first:-$candidate}
    done
    [ -n "$first" ] || fail "Python 3.11 or 3.12 is needed and none was found; install one, or name it: make PYTHON=/path/to/python3.12 …"
    echo "$first"
}

# Scripts in a virtual environment carry its absolute path, so a moved or copied one is made anew.
venv_is_sound() {
    in_supported_range "$venv/bin/python" && grep -qsF "$venv/bin/" "$venv/bin/pip"
}

stamp_key() { # SET
    cat "$root/pyproject.toml" "$root/requirements/build.txt" "$root/requirements/$1.txt" | sha256sum
}

is_stamped() { # SET
    [ "$(cat "$venv/.ready-$1" 2>/dev/null)" = "$(stamp_key "$1")" ]
}

# dev.txt holds the packages of the smaller sets.
is_ready() {
    venv_is_sound && { is_stamped "$set_name" || is_stamped dev; }
}

create_venv() {
    local python package
    python=$(find_python)
    printf '[1/3] creating .venv with %s …\n' "$("$python" --version)"
    if ! can_make_venvs "$python"; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        "$root/deploy/scripts/debian-packages.sh" "$package"
    fi
    "$python" -m venv --clear "$venv" || fail "$python could not create $venv"
}

pip_install() {
    # --no-user: a PIP_USER set for other work would be refused inside a virtual environment.
    "$venv/bin/python" -m pip install --quiet --quiet --no-user --disable-pip-version-check --no-input "$@"
}

install_packages() {
    printf '[2/3] installing %d locked packages (%s); the first time this downloads them …\n' "$(grep -c '^[a-z].*==' "$lock")" "$set_name"
    pip_install --only-binary :all: --require-hashes -r "$root/requirements/build.txt" -r "$lock" ||
        fail "pip could not install requirements/$set_name.txt; its message is above (wheels exist for Linux on x86-64; PIP_INDEX_URL, PIP_CERT, pip.conf and proxy settings apply)"
}

install_project() {
    printf '[3/3] installing the claimline command …\n'
    # setuptools is locked in build.txt: without isolation nothing unpinned is fetched.
    pip_install --no-deps --no-build-isolation --editable "$root" || fail "the claimline command could not be installed; pip's message is above"
}

is_ready && exit 0
# Two make runs at once: the second waits here and then finds the work done.
exec 9<"$root"
flock 9
is_ready && exit 0

started=$SECONDS
rm -f "$venv/.ready-$set_name"
venv_is_sound || create_venv
install_packages
install_project
stamp_key "$set_name" >"$venv/.ready-$set_name"
printf 'ready after %d s\n' $((SECONDS - started))
