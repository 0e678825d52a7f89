"""The set-up scripts install what is missing, or say in one sentence what is."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "deploy" / "scripts"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of stand-ins that is the whole PATH of the script, besides the tools it is written with."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for tool in ("bash", "cat", "dirname", "env", "flock", "grep", "mktemp", "rm", "sed", "sha256sum", "tail"):
        (folder / tool).symlink_to(str(shutil.which(tool)))
    return folder


def stand_in(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


def run(programs: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MAKE"))}
    return subprocess.run(
        command, env=environment | {"PATH": str(programs)}, capture_output=True, text=True, timeout=20, check=False
    )


def debian(programs: Path, *, uid: int, installed: str = "") -> None:
    stand_in(programs, "id", f"echo {uid}")
    known = f'case " {installed} " in *" $last "*) printf installed;; *) exit 1;; esac'
    stand_in(programs, "dpkg-query", f"for last; do :; done; {known}")
    stand_in(programs, "apt-get", f'echo "$@" >> {programs}/apt.log')


def test_packages_that_are_there_cost_nothing(programs: Path) -> None:
    debian(programs, uid=1000, installed="one two")
    done = run(programs, str(SCRIPTS / "debian-packages.sh"), "one", "two")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_root_installs_only_what_is_missing(programs: Path) -> None:
    debian(programs, uid=0, installed="one")
    done = run(programs, str(SCRIPTS / "debian-packages.sh"), "one", "two")
    assert done.returncode == 0, done.stderr
    calls = (programs / "apt.log").read_text().splitlines()
    assert calls[0].endswith(" update")
    assert calls[1].endswith(" install --no-install-recommends two")


def apt_knows(programs: Path, *packages: str) -> None:
    stand_in(programs, "apt-cache", f'case " {" ".join(packages)} " in *" $2 "*) exit 0;; *) exit 100;; esac')


@pytest.mark.parametrize(("known", "installed"), [(("one", "two", "odd"), "one two odd"), (("one", "two"), "one two")])
def test_a_package_that_apt_may_not_have_is_left_out_where_it_has_not(
    programs: Path, known: tuple[str, ...], installed: str
) -> None:
    debian(programs, uid=0)
    apt_knows(programs, *known)
    done = run(programs, str(SCRIPTS / "debian-packages.sh"), "one", "odd?", "two")
    assert done.returncode == 0, done.stderr
    calls = (programs / "apt.log").read_text().splitlines()
    assert sorted(calls[1].partition("--no-install-recommends ")[2].split()) == sorted(installed.split())
    assert ("tests that need it are skipped" in done.stdout) == ("odd" not in known)


def test_only_a_package_that_apt_does_not_have_is_missing_and_nothing_is_done(programs: Path) -> None:
    debian(programs, uid=1000, installed="one")
    apt_knows(programs)
    done = run(programs, str(SCRIPTS / "debian-packages.sh"), "one", "odd?")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    apt_knows(programs, "odd")
    assert "install --no-install-recommends odd" in run(programs, str(SCRIPTS / "debian-packages.sh"), "odd?").stderr


def test_sudo_is_used_where_it_asks_no_password(programs: Path) -> None:
    debian(programs, uid=1000)
    stand_in(programs, "sudo", 'shift; [ "$1" = true ] || exec "$@"')
    assert run(programs, str(SCRIPTS / "debian-packages.sh"), "two").returncode == 0
    assert "two" in (programs / "apt.log").read_text()


def test_without_root_one_sentence_names_the_command(programs: Path) -> None:
    debian(programs, uid=1000)
    done = run(programs, str(SCRIPTS / "debian-packages.sh"), "one", "two")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "sudo apt-get install --no-install-recommends one two" in done.stderr
    assert not (programs / "apt.log").exists()


def test_a_failed_installation_is_told_with_what_apt_said(programs: Path) -> None:
    debian(programs, uid=0)
    stand_in(programs, "apt-get", "echo E: no such package; exit 100")
    done = run(programs, str(SCRIPTS / "debian-packages.sh"), "two")
    assert done.returncode == 1
    assert "E: no such package" in done.stderr
    assert "could not install two" in done.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what setup.sh reads."""
    root = tmp_path / "tree"
    (root / "deploy").mkdir(parents=True)
    shutil.copytree(SCRIPTS, root / "deploy" / "scripts")
    shutil.copytree(SCRIPTS.parents[1] / "requirements", root / "requirements")
    (root / "pyproject.toml").write_text("")
    return root


def python_stand_in(programs: Path, name: str, root: Path) -> None:
    """An interpreter that claims to be in range, and a virtual environment of the same kind."""
    log = programs.parent / "python.log"
    stand_in(
        programs,
        name,
        f"""echo "{name} $*" >> {log}
case "$*" in
--version) echo Python 3.12.9;;
"-m venv"*)
    mkdir -p {root}/.venv/bin
    cp "$0" {root}/.venv/bin/python
    echo '#!{root}/.venv/bin/python' > {root}/.venv/bin/pip;;
esac""",
    )
    for tool in ("mkdir", "cp"):
        if not (programs / tool).exists():
            (programs / tool).symlink_to(str(shutil.which(tool)))


def test_a_shim_that_refuses_is_passed_over_and_a_second_run_does_nothing(programs: Path, tree: Path) -> None:
    stand_in(programs, "python3.11", "echo 'command not found in this version' >&2; exit 127")
    python_stand_in(programs, "python3.12", tree)
    first = run(programs, str(tree / "deploy" / "scripts" / "setup.sh"), "local")
    assert first.returncode == 0, first.stderr
    assert [line[:5] for line in first.stdout.splitlines()] == ["[1/3]", "[2/3]", "[3/3]", "ready"]
    assert "Python 3.12.9" in first.stdout
    second = run(programs, str(tree / "deploy" / "scripts" / "setup.sh"), "local")
    assert (second.returncode, second.stdout) == (0, "")


def test_a_changed_lock_is_installed_again(programs: Path, tree: Path) -> None:
    python_stand_in(programs, "python3.12", tree)
    script = str(tree / "deploy" / "scripts" / "setup.sh")
    run(programs, script, "local")
    with (tree / "requirements" / "local.txt").open("a") as lock:
        lock.write("# changed\n")
    again = run(programs, script, "local")
    assert [line[:5] for line in again.stdout.splitlines()] == ["[2/3]", "[3/3]", "ready"]


def test_the_greatest_set_makes_the_smaller_ones_ready(programs: Path, tree: Path) -> None:
    python_stand_in(programs, "python3.12", tree)
    script = str(tree / "deploy" / "scripts" / "setup.sh")
    assert run(programs, script, "dev").stdout
    assert run(programs, script, "local").stdout == ""


def test_packages_are_installed_by_hash_and_the_project_without_fetching(programs: Path, tree: Path) -> None:
    python_stand_in(programs, "python3.12", tree)
    run(programs, str(tree / "deploy" / "scripts" / "setup.sh"), "dev")
    installs = [line for line in (programs.parent / "python.log").read_text().splitlines() if "pip install" in line]
    assert "--require-hashes" in installs[0]
    assert installs[0].endswith("/requirements/dev.txt")
    assert "--no-deps --no-build-isolation" in installs[1]


CLAIMLINE = """#!{python}
import signal, socket, sys
stopped = []
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda *_: stopped.append(True))
listener = socket.create_server(("127.0.0.1", {ports}[sys.argv[1]]))
listener.settimeout(0.02)
while not stopped:
    try:
        peer = listener.accept()[0]
    except TimeoutError:
        continue
    if sys.argv[1] == "serve":
        peer.recv(100)
        peer.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
    peer.close()
if sys.argv[1] == "serve":
    socket.create_connection(("127.0.0.1", {ports}["engine"]))  # a call goes on
print(sys.argv[1], "ended", flush=True)
"""
"""Stands in for service and engine: listens, and ends with the first signal. The service then needs the engine."""


def test_ctrl_c_leaves_the_engine_to_calls_that_the_service_drains(tree: Path) -> None:
    programs, ports = tree / ".venv" / "bin", {}
    programs.mkdir(parents=True)
    for name in ("serve", "engine"):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports[name] = free.getsockname()[1]
    stand_in(programs, "python", f"echo sip:x 127.0.0.1/{ports['serve']} 127.0.0.1/{ports['engine']}")
    (programs / "claimline").write_text(CLAIMLINE.format(python=sys.executable, ports=ports))
    (programs / "claimline").chmod(0o755)
    script = str(tree / "deploy" / "scripts" / "run.sh")
    # A process group of its own, as a terminal gives it one, and SIGINT for the whole of it, as Ctrl-C does.
    with subprocess.Popen([script], stdout=subprocess.PIPE, text=True, start_new_session=True) as running:
        try:
            assert running.stdout is not None
            while "Ctrl-C" not in (line := running.stdout.readline()):
                assert line, "it ended at once"
            os.killpg(running.pid, signal.SIGINT)
            said, _ = running.communicate(timeout=20)
        finally:
            running.terminate()
    assert said.split() == ["serve", "ended", "engine", "ended"]


def test_an_interpreter_named_by_hand_must_fit(programs: Path, tree: Path) -> None:
    stand_in(programs, "python9", "exit 1")
    done = run(programs, "env", "PYTHON=python9", str(tree / "deploy" / "scripts" / "setup.sh"), "local")
    assert done.returncode == 1
    assert "python9 is not a Python 3.11 or 3.12" in done.stderr
