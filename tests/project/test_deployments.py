"""The manifests and units name what exists, give calls the time to end, and give nothing away."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from service import app
from service.cli import WRONG_USE, parser
from service.config import ENV_PREFIX, Config, Http, check_serve, load
from service.errors import ConfigError
from service.http.server import PUBLIC_PATHS, check_exposure

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
SYSTEMD = DEPLOY / "systemd"
DEFAULTS = Config()

STOPPING_S = DEFAULTS.sip.drain_timeout_s + app.LAST_WORDS_S + app.FINAL_DELIVERY_S
"""From SIGTERM to the end of a worker whose calls do not end by themselves."""


def settings_named(names: Iterator[str] | list[str]) -> None:
    """Every `CLAIMLINE_…` among the names is a setting."""
    for name in names:
        if name.startswith(ENV_PREFIX):
            section, key = name.removeprefix(ENV_PREFIX).lower().split("__")
            assert key in type(getattr(DEFAULTS, section)).model_fields, name


# -- Kubernetes --------------------------------------------------------------------------------------------------------


def objects() -> dict[tuple[str, str], dict[str, Any]]:
    documents = [
        document
        for name in yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))["resources"]
        for document in yaml.safe_load_all((KUBERNETES / name).read_text("utf-8"))
    ]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


OBJECTS = objects()
PODS = {name: OBJECTS[name]["spec"] for name in (("StatefulSet", "claimline"), ("Deployment", "claimline-engine"))}
WORKER = PODS["StatefulSet", "claimline"]["template"]["spec"]
ENGINE = PODS["Deployment", "claimline-engine"]["template"]["spec"]
CONFIG_MAP = tomllib.loads(OBJECTS["ConfigMap", "claimline"]["data"]["claimline.toml"])


def test_every_manifest_is_applied_and_every_image_is_one_of_ours() -> None:
    listed = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))
    assert sorted(path.name for path in KUBERNETES.iterdir()) == sorted([*listed["resources"], "kustomization.yaml"])
    images = {container["image"] for pod in (WORKER, ENGINE) for container in pod["containers"]}
    assert images == {image["name"] for image in listed["images"]}


@pytest.mark.parametrize("pod", [WORKER, ENGINE], ids=["worker", "engine"])
def test_pods_may_do_nothing_but_their_work(pod: dict[str, Any]) -> None:
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert list(container["resources"]["limits"]) == ["memory"], "a processor limit would be heard"
        written = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        assert written <= {"/var/lib/claimline", "/tmp"}  # noqa: S108 -- a path in the container


@pytest.mark.parametrize("pod", [WORKER, ENGINE], ids=["worker", "engine"])
def test_what_kubernetes_puts_into_the_environment_is_kept_out(
    pod: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pod["enableServiceLinks"] is False
    monkeypatch.setenv("CLAIMLINE_ENGINE_PORT_8765_TCP", "tcp://10.96.0.7:8765")
    with pytest.raises(ConfigError, match="CLAIMLINE_ENGINE_PORT_8765_TCP"):
        load(None)


def test_selectors_find_their_pods() -> None:
    for workload in PODS.values():
        labels = workload["template"]["metadata"]["labels"]
        assert workload["selector"]["matchLabels"].items() <= labels.items()
    worker, engine = (workload["template"]["metadata"]["labels"] for workload in PODS.values())
    for name, labels in (("claimline", worker), ("claimline-engine", engine)):
        assert OBJECTS["Service", name]["spec"]["selector"].items() <= labels.items()
        assert (
            not OBJECTS["Service", name]["spec"]["selector"].items() <= (engine if labels is worker else worker).items()
        )
    assert OBJECTS["NetworkPolicy", "claimline-engine"]["spec"]["podSelector"]["matchLabels"].items() <= engine.items()
    assert OBJECTS["PodDisruptionBudget", "claimline"]["spec"]["selector"]["matchLabels"].items() <= worker.items()
    assert PODS["StatefulSet", "claimline"]["serviceName"] in {name for kind, name in OBJECTS if kind == "Service"}


def test_the_workers_configuration_is_one_that_serve_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    (worker,) = WORKER["containers"]
    names = [entry["name"] for entry in worker["env"]]
    settings_named(names)
    settings_named([entry["name"] for entry in ENGINE["containers"][0]["env"]])
    config = Config(**CONFIG_MAP)
    given = {name.removesuffix("_FILE") for name in names if name.endswith("_FILE")}
    assert given == {"CLAIMLINE_HTTP__TOKEN", "CLAIMLINE_WEBHOOK__SECRET"}
    check_serve(config.model_copy(update={"webhook": config.webhook.model_copy(update={"secret": SecretStr("x")})}))
    check_exposure(Http(bind="10.0.0.1", token=SecretStr("x")))
    arguments = parser().parse_args(worker["args"])
    mounts = {mount["name"]: mount["mountPath"] for mount in worker["volumeMounts"]}
    assert str(arguments.config) == f"{mounts['config']}/claimline.toml"
    parser().parse_args(ENGINE["containers"][0]["args"])


def test_secrets_come_as_files_that_are_mounted() -> None:
    (worker,) = WORKER["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in worker["volumeMounts"]}
    (secret,) = (volume["secret"] for volume in WORKER["volumes"] if "secret" in volume)
    assert secret["defaultMode"] & 0o007 == 0
    said = (KUBERNETES / "kustomization.yaml").read_text("utf-8")
    assert f"create secret generic {secret['secretName']} " in said
    for entry in worker["env"]:
        if entry["name"].endswith("_FILE"):
            folder, _, key = entry["value"].rpartition("/")
            assert folder == mounts["secrets"]
            assert f"--from-literal={key}=" in said
    for text in (path.read_text("utf-8") for path in KUBERNETES.iterdir()):
        assert not re.search(r"^\s*-?\s*(name: )?CLAIMLINE_\w+__(API_KEY|SECRET|TOKEN)\b(?!_FILE)", text, re.MULTILINE)


def test_the_outbox_is_on_a_volume_of_its_own() -> None:
    (worker,) = WORKER["containers"]
    claimed = {claim["metadata"]["name"] for claim in PODS["StatefulSet", "claimline"]["volumeClaimTemplates"]}
    outbox = Path(CONFIG_MAP["outbox"]["path"])
    (volume,) = (mount["name"] for mount in worker["volumeMounts"] if Path(mount["mountPath"]) in outbox.parents)
    assert volume in claimed


def test_ports_and_probes_are_those_of_the_service() -> None:
    (worker,), (engine,) = WORKER["containers"], ENGINE["containers"]
    sip, http = DEFAULTS.sip.port, DEFAULTS.http.port
    assert WORKER["hostNetwork"] is True
    assert [(port["containerPort"], port["protocol"]) for port in worker["ports"]] == [
        (sip, "UDP"),
        (sip, "TCP"),
        (http, "TCP"),
    ]
    assert [port["containerPort"] for port in engine["ports"]] == [DEFAULTS.engine.port]
    paths = {probe: worker[probe]["httpGet"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert {probe: get["path"] for probe, get in paths.items()} == {
        "startupProbe": "/healthz",
        "readinessProbe": "/readyz",
        "livenessProbe": "/healthz",
    }
    assert {get["path"] for get in paths.values()} <= PUBLIC_PATHS, "probes bring no token"
    assert {get["port"] for get in paths.values()} <= {port["name"] for port in worker["ports"]}
    (allowed,) = OBJECTS["NetworkPolicy", "claimline-engine"]["spec"]["ingress"]
    assert [port["port"] for port in allowed["ports"]] == [DEFAULTS.engine.port]
    url = CONFIG_MAP["realtime"]["url"]
    assert url == f"ws://claimline-engine:{DEFAULTS.engine.port}/v1/realtime"
    assert ("Service", "claimline-engine") in OBJECTS


# -- systemd -----------------------------------------------------------------------------------------------------------


def unit(name: str) -> dict[str, list[str]]:
    """Every key of a unit with its values in order; sections do not share keys here."""
    found: dict[str, list[str]] = {}
    for line in (SYSTEMD / name).read_text("utf-8").splitlines():
        if line and not line.startswith(("#", "[")):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


UNITS = {path.name: unit(path.name) for path in sorted(SYSTEMD.glob("*.service"))}
SERVICE = UNITS["claimline.service"]


@pytest.mark.parametrize("name", UNITS)
def test_units_start_a_command_and_name_settings_that_exist(name: str) -> None:
    (start,) = UNITS[name]["ExecStart"]
    program, *arguments = shlex.split(start)
    assert program == "/opt/claimline/bin/claimline"
    parser().parse_args(arguments)
    settings_named([pair.partition("=")[0] for value in UNITS[name]["Environment"] for pair in shlex.split(value)])
    assert UNITS[name]["RestartPreventExitStatus"] == [str(WRONG_USE)]
    assert UNITS[name]["Restart"] == ["on-failure"]
    assert UNITS[name]["KillSignal"] == ["SIGTERM"]


@pytest.mark.parametrize("name", UNITS)
def test_units_may_do_nothing_but_their_work(name: str) -> None:
    for key, value in {
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "PrivateTmp": "yes",
        "PrivateDevices": "yes",
        "MemoryDenyWriteExecute": "yes",
        "CapabilityBoundingSet": "",
        "SystemCallArchitectures": "native",
    }.items():
        assert UNITS[name][key] == [value], key
    assert "User" in UNITS[name] or UNITS[name]["DynamicUser"] == ["yes"]
    assert UNITS[name]["SystemCallFilter"][0] == "@system-service"


def test_the_units_secrets_are_credentials_that_are_loaded() -> None:
    loaded = {value.partition(":")[0] for value in SERVICE["LoadCredential"]}
    named = re.findall(r"%d/(\w+)", " ".join(SERVICE["Environment"]))
    assert set(named) == loaded
    assert not re.search(r"__(API_KEY|SECRET|TOKEN)=", " ".join(SERVICE["Environment"]))


def test_what_the_unit_writes_is_in_its_state_directory() -> None:
    (state,) = SERVICE["StateDirectory"]
    (outbox,) = (value for value in SERVICE["Environment"] if "OUTBOX__PATH" in value)
    assert outbox.partition("=")[2].startswith(f"%S/{state}/")


# -- all ---------------------------------------------------------------------------------------------------------------


def test_live_calls_are_given_the_time_to_end() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]["service"]
    given_s = {
        "compose": float(compose["stop_grace_period"].removesuffix("s")),
        "kubernetes": float(WORKER["terminationGracePeriodSeconds"]),
        "systemd": float(SERVICE["TimeoutStopSec"][0]),
    }
    assert {name: seconds for name, seconds in given_s.items() if seconds < STOPPING_S + 10} == {}


def test_containers_of_ours_in_compose_are_as_closed_as_pods() -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    ours = {name: service for name, service in services.items() if "build" in service}
    assert {"service", "engine"} <= ours.keys()
    for service in ours.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        settings_named(list(service.get("environment", {})))
