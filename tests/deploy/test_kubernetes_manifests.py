"""The manifests: Kubernetes takes them, and they agree with each other and with the server."""

import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from shipped_settings import known_settings

from hourpass import __version__
from hourpass.server import config
from hourpass.server.catalogue import file as catalogue
from hourpass.server.http_server import GRACE_S
from support.installation import MASTER_KEY, Installation
from support.proxies.process import DEPLOY

KUBERNETES = "1.34"
FOLDER = DEPLOY / "kubernetes"
Manifest = dict[str, Any]


def _read(name: str) -> Manifest:
    manifest: Manifest = yaml.safe_load((FOLDER / name).read_text("utf-8"))
    return manifest


def _names(folder: str = "*") -> list[str]:
    files = sorted(FOLDER.glob(f"{folder}/*.yaml"))
    return [str(f.relative_to(FOLDER)) for f in files if f.name != "kustomization.yaml"]


def _pod(name: str) -> Manifest:
    pod: Manifest = _read(name)["spec"]["template"]["spec"]
    return pod


PODS = ("migrate/job.yaml", "serve/deployment.yaml")
NOT_OF_KUBERNETES = ("optional/service-monitor.yaml",)


def _hourpass_toml() -> str:
    text: str = _read("migrate/config.yaml")["data"]["hourpass.toml"]
    return text


@pytest.mark.parametrize("name", [name for name in _names() if name not in NOT_OF_KUBERNETES])
def test_kubernetes_takes_the_manifest(name: str) -> None:
    """By its schema, strictly: no unknown member anywhere."""
    kubernetes_validate.validate(_read(name), KUBERNETES, strict=True)


def test_the_validator_would_notice() -> None:
    """A misspelled member is refused."""
    manifest = _read("serve/deployment.yaml")
    manifest["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


@pytest.mark.parametrize("folder", ["migrate", "serve"])
def test_kustomize_takes_every_file_of_a_folder(folder: str) -> None:
    """None is forgotten, and everything is in one namespace."""
    kustomization = _read(f"{folder}/kustomization.yaml")

    assert {f"{folder}/{name}" for name in kustomization["resources"]} == set(_names(folder))
    for name in _names():
        metadata = _read(name)["metadata"]
        assert metadata.get("namespace", metadata["name"]) == kustomization["namespace"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="requires kubectl")
@pytest.mark.parametrize("folder", ["migrate", "serve"])
def test_kubectl_builds_the_folder(folder: str) -> None:
    """As `kubectl apply -k` would."""
    command = ["kubectl", "kustomize", str(FOLDER / folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)

    assert len(list(yaml.safe_load_all(done.stdout))) == len(_names(folder))


@pytest.mark.parametrize("name", PODS)
def test_a_pod_has_no_more_rights_than_it_needs(name: str) -> None:
    """The strictest of the Pod Security Standards, and no token of the cluster."""
    pod = _pod(name)
    (container,) = pod["containers"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert _read("migrate/service-account.yaml")["automountServiceAccountToken"] is False


@pytest.mark.parametrize("name", PODS)
def test_no_service_writes_into_the_settings(name: str) -> None:
    """A Service called `hourpass` gives pods HOURPASS_PORT=tcp://…, which is a setting's name."""
    assert _read("serve/service.yaml")["metadata"]["name"] == "hourpass"
    assert _pod(name)["enableServiceLinks"] is False


@pytest.mark.parametrize("name", PODS)
def test_every_secret_is_a_file_that_a_setting_names(name: str) -> None:
    """And every file that a setting names is there."""
    pod = _pod(name)
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    secret = _read("optional/secret.example.yaml")

    assert set(mounts) == set(volumes)
    assert volumes["secrets"]["secret"]["secretName"] == secret["metadata"]["name"]
    there = {f"{mounts['secrets']}/{key}" for key in secret["stringData"]}
    there |= {f"{mounts['config']}/{key}" for key in _read("migrate/config.yaml")["data"]}
    assert {variable["value"] for variable in container["env"]} == there
    names = {variable["name"].removeprefix("HOURPASS_") for variable in container["env"]}
    assert names <= known_settings()
    assert {name for name in names if name.endswith("_FILE")} == {
        "MASTER_KEY_FILE",
        "DATABASE_URL_FILE",
    }


def test_the_settings_of_the_config_map_are_good(tmp_path: Path) -> None:
    """With the files of the Secret they are all that `serve` needs; the catalogue is one."""
    text = _hourpass_toml()
    table = tomllib.loads(text)["hourpass"]
    assert {name.upper() for name in table} <= known_settings()
    for name in getattr(config, "_NOT_YET", ()):
        text = text.replace(f"    {name.lower()} =", "    # ").replace(f"{name.lower()} =", "# ")
    settings = tmp_path / "hourpass.toml"
    settings.write_text(text)
    secrets = {"master-key": MASTER_KEY, "database-url": "postgresql://hourpass@db/hourpass"}
    for name, content in secrets.items():
        (tmp_path / name).write_text(content + "\n")

    read = config.load(
        {
            "HOURPASS_CONFIG": str(settings),
            "HOURPASS_MASTER_KEY_FILE": str(tmp_path / "master-key"),
            "HOURPASS_DATABASE_URL_FILE": str(tmp_path / "database-url"),
        }
    )

    assert read.is_postgresql
    assert read.issuer.startswith("https://")
    assert read.catalogue_file == settings
    catalogue.parse(text)


def test_the_catalogue_can_be_applied(sqlite_installation: Installation, tmp_path: Path) -> None:
    """As the page says, by a command in a pod."""
    file = tmp_path / "shipped.toml"
    file.write_text(_hourpass_toml())

    assert sqlite_installation.command("scopes", "apply", str(file), "--dry-run").status == 0


def test_everybody_means_the_same_ports() -> None:
    """Settings, pod, probes, Service, Ingress, policy and monitor."""
    table = tomllib.loads(_hourpass_toml())["hourpass"]
    (container,) = _pod("serve/deployment.yaml")["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    service = {port["name"]: port for port in _read("serve/service.yaml")["spec"]["ports"]}
    rules = _read("migrate/network-policy.yaml")["spec"]["ingress"]
    (endpoint,) = _read("optional/service-monitor.yaml")["spec"]["endpoints"]
    (rule,) = _read("optional/ingress.yaml")["spec"]["rules"]
    (path,) = rule["http"]["paths"]

    assert ports == {"http": table["port"], "metrics": table["metrics_port"]}
    assert {name: port["targetPort"] for name, port in service.items()} == {n: n for n in ports}
    assert [rule["ports"] for rule in rules] == [
        [{"port": port, "protocol": "TCP"}] for port in ports.values()
    ]
    probes = {container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "liveness")}
    assert probes | {container["readinessProbe"]["httpGet"]["port"]} == {"http"}
    assert endpoint["port"] == "metrics"
    assert path["backend"]["service"] == {"name": "hourpass", "port": {"name": "http"}}


def test_probes_ask_what_they_mean() -> None:
    """A restart heals no database, so liveness asks nothing about it; readiness waits for it."""
    (container,) = _pod("serve/deployment.yaml")["containers"]

    assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["readinessProbe"]["timeoutSeconds"] > 2


def test_an_update_takes_no_pod_away_before_another_serves() -> None:
    """And a pod that ends has its grace, after balancers have heard of it."""
    spec = _read("serve/deployment.yaml")["spec"]
    pod = spec["template"]["spec"]
    waits = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]

    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["replicas"] >= 2
    assert pod["terminationGracePeriodSeconds"] >= waits + GRACE_S + 10
    assert _read("serve/disruption-budget.yaml")["spec"]["maxUnavailable"] == 1


def test_every_selector_finds_the_pods() -> None:
    """The policy is for the pods of the job too."""
    labels = _read("serve/deployment.yaml")["spec"]["template"]["metadata"]["labels"]
    of_the_job = _read("migrate/job.yaml")["spec"]["template"]["metadata"]["labels"]
    policy = _read("migrate/network-policy.yaml")["spec"]["podSelector"]["matchLabels"]
    selectors = [
        _read("serve/deployment.yaml")["spec"]["selector"]["matchLabels"],
        _read("serve/service.yaml")["spec"]["selector"],
        _read("serve/disruption-budget.yaml")["spec"]["selector"]["matchLabels"],
        _read("optional/service-monitor.yaml")["spec"]["selector"]["matchLabels"],
    ]

    for selector in (*selectors, policy):
        assert selector.items() <= labels.items()
    assert policy.items() <= of_the_job.items()
    for selector in selectors:  # the job's pods serve nobody
        assert not selector.items() <= of_the_job.items()


def test_the_job_and_the_server_are_one_version() -> None:
    """And the job's name says which, since a Job cannot be changed."""
    images = {_pod(name)["containers"][0]["image"] for name in PODS}

    assert {image.rpartition(":")[2] for image in images} == {__version__}
    assert len(images) == 1
    assert _read("migrate/job.yaml")["metadata"]["name"] == f"hourpass-migrate-{__version__}"
