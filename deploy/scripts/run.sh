#!/usr/bin/env bash
# The embedded engine and the service side by side until Ctrl-C: run.sh [claimline.toml]
# The service drains first, then the engine ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

options=(${1:+--config "$1"})

# One line: what to dial, where readiness is told, and where the engine listens ("-": a remote server is configured).
addresses=$(.venv/bin/python - "${1:-}" <<'PY'
import sys
from pathlib import Path

from service.config import load
from service.errors import ConfigError

try:
    config = load(Path(sys.argv[1]) if sys.argv[1] else None)
except ConfigError as error:
    sys.exit(f"error: {error}")
wildcard = config.sip.bind in {"0.0.0.0", "::"}
host = config.sip.public_address or ("127.0.0.1" if wildcard else config.sip.bind)
http_host = "127.0.0.1" if config.http.bind in {"0.0.0.0", "::"} else config.http.bind
engine = "-" if config.realtime.url else f"{config.engine.bind}/{config.engine.port}"
print(f"sip:claims@{host}:{config.sip.port}", f"{http_host}/{config.http.port}", engine)
PY
)
read -r dial http engine <<<"$addresses"

engine_pid=
service_pid=

stop() {
    trap '' INT TERM
    for pid in $service_pid $engine_pid; do
        kill -TERM "$pid" 2>/dev/null || true
        wait "$pid" || true
    done
}
trap stop EXIT
trap 'exit 0' INT TERM

fail() {
    echo "error: $1" >&2
    exit 1
}

is_listening() {
    (exec 3<>"/dev/tcp/$1") 2>/dev/null
}

is_ready() {
    (
        exec 3<>"/dev/tcp/$http"
        printf 'GET /readyz HTTP/1.0\r\n\r\n' >&3
        head -n 1 <&3 | grep -q ' 200 '
    ) 2>/dev/null
}

wait_for() { # PID WHAT COMMAND…
    local pid=$1 what=$2 deadline=$((SECONDS + 60))
    shift 2
    until "$@"; do
        kill -0 "$pid" 2>/dev/null || fail "the $what ended; its last lines are above"
        [ $SECONDS -lt $deadline ] || fail "the $what was not ready within 60 s"
        sleep 0.2
    done
}

if [ "$engine" != - ]; then
    # In a process group of its own: Ctrl-C must not end it under calls that the service still drains.
    set -m
    .venv/bin/claimline "${options[@]}" engine &
    engine_pid=$!
    set +m
    wait_for "$engine_pid" engine is_listening "$engine"
fi
.venv/bin/claimline "${options[@]}" serve &
service_pid=$!
wait_for "$service_pid" service is_ready

cat <<EOF

ready: dial $dial
console: http://${http/\//:}/
Ctrl-C ends it, after live calls.

EOF
wait -n $service_pid $engine_pid || fail "a process ended by itself; its last lines are above"
