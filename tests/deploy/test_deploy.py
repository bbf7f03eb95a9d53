"""What lies in `deploy` fits the product, and the tools that will read it accept it, where they are installed."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from config import HERE, Config

DEPLOY = HERE / "deploy"
UNITS = sorted(path.name for path in (DEPLOY / "systemd").glob("*.service"))
SETTINGS = {field.name for field in dataclasses.fields(Config)}
ELSEWHERE = {"PYTHONUNBUFFERED", "FLASK_APP", "PATH"}
"""Variables that others than the product read."""
LARGEST_EXPOSURE = 2.0
"""Of `systemd-analyze security`, from 0 to 10."""


def ran(*command: str, **environ: str) -> str:
    """Return what a command says; fail with it if the command fails."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **environ})
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed here")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    described: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return described


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    services: dict[str, dict[str, Any]] = compose["services"]
    return services


def ours(services: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in services.items() if service["image"] == "smsapp"}


def test_compose_names_only_settings_that_exist(services: dict[str, dict[str, Any]]) -> None:
    for name, service in ours(services).items():
        assert set(service["environment"]) <= SETTINGS, name


def test_the_documents_name_what_compose_asks_for() -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    asked = set(re.findall(r"\$\{(\w+):\?", text))
    documented = (HERE / "docs" / "administrators.md").read_text().partition("## Containers")[2].partition("\n## ")[0]
    assert asked
    assert asked <= set(re.findall(r"`(\w+)`", documented))


def test_every_service_waits_for_services_that_say_when_they_are_there(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert services[other]["healthcheck"]["test"], (name, other)
            else:
                assert (other, how["condition"]) == ("migrate", "service_completed_successfully"), name


def test_nothing_is_reachable_from_outside_and_valkey_has_a_password(services: dict[str, dict[str, Any]]) -> None:
    ports = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert ports == {"web": ["127.0.0.1:8000:8000"]}
    assert services["valkey"]["command"][-2:] == ["--requirepass", "${VALKEY_PASSWORD}"]


def test_our_containers_have_no_rights_to_lose(services: dict[str, dict[str, Any]], compose: dict[str, Any]) -> None:
    for name, service in ours(services).items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["volumes"] == ["instance:/data"], name
    used = {volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])}
    assert used == set(compose["volumes"])


@needs("docker-compose")
def test_docker_compose_reads_the_file(tmp_path: Path) -> None:
    text = (DEPLOY / "compose.yaml").read_text()
    path = tmp_path / "compose.yaml"
    # Its first version does not know the project's name.
    path.write_text(text.removeprefix("name: smsapp\n"))
    variables = dict.fromkeys(re.findall(r"\$\{(\w+)", text), "x")
    configured = yaml.safe_load(ran("docker-compose", "--file", str(path), "config", **variables))
    assert configured["services"]["web"]["environment"]["REDIS_URL"] == "redis://:x@valkey:6379/0"


def test_compose_and_units_run_the_same_processes(services: dict[str, dict[str, Any]]) -> None:
    of_units = set()
    for name in UNITS:
        (command,) = re.findall(r"^ExecStart=/opt/smsapp/.venv/bin/(.*)$", unit(name), re.MULTILINE)
        of_units.add(command)
    (web,) = re.findall(r"^CMD (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    of_compose = {service.get("command", " ".join(yaml.safe_load(web))) for service in ours(services).values()}
    assert of_compose - {"flask db upgrade"} == of_units


def test_the_image_copies_what_there_is_and_runs_without_rights() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    copied = [name for line in re.findall(r"^COPY (?!--)(.*) \S+$", dockerfile, re.MULTILINE) for name in line.split()]
    assert copied
    assert [name for name in copied if not (HERE / name).exists()] == []
    variables = set(re.findall(r"(\w+)=\S+", " ".join(re.findall(r"^ENV (.*)$", dockerfile, re.MULTILINE))))
    assert variables <= SETTINGS | ELSEWHERE
    assert "\nUSER smsapp\n" in dockerfile


# -- systemd ----------------------------------------------------------------------------------------------------------


def unit(name: str) -> str:
    return (DEPLOY / "systemd" / name).read_text()


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file system in which the units are installed, beside systemd's own."""
    root = tmp_path_factory.mktemp("root")
    shutil.copytree(DEPLOY / "systemd", root / "etc" / "systemd" / "system")
    shutil.copytree("/lib/systemd/system", root / "usr" / "lib" / "systemd" / "system", symlinks=True)
    programs = root / "opt" / "smsapp" / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "gunicorn"):
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    return root


@needs("systemd-analyze")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_accepts_each_unit_and_finds_it_closed(root: Path, name: str) -> None:
    started = name.replace("@.", "@1.")
    verdict = ran("systemd-analyze", "verify", f"--root={root}", started)
    assert "smsapp" not in verdict, verdict
    table = ran("systemd-analyze", "security", "--offline=true", f"--root={root}", "--no-pager", started)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", table)
    assert exposure is not None, table
    assert float(exposure[1]) <= LARGEST_EXPOSURE, table


# -- reverse proxies --------------------------------------------------------------------------------------------------


@needs("nginx")
@needs("openssl")
def test_nginx_reads_its_example(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ("-subj", "/CN=sms.example.com", "-newkey", "rsa:2048", "-nodes")
    ran("openssl", "req", "-x509", *subject, "-keyout", str(key), "-out", str(certificate))
    example = (DEPLOY / "proxy" / "nginx.conf").read_text()
    example = example.replace("/etc/ssl/private/sms.example.com.key", str(key))
    example = example.replace("/etc/ssl/certs/sms.example.com.pem", str(certificate))
    # Ports below 1024 are not for everybody.
    example = example.replace("listen 443", "listen 21443").replace("listen 80;", "listen 21080;")
    (tmp_path / "nginx.conf").write_text(
        f"error_log {tmp_path}/error.log;\npid {tmp_path}/nginx.pid;\nevents {{}}\nhttp {{\n"
        f"access_log {tmp_path}/access.log;\n{example}}}\n"
    )
    verdict = ran("nginx", "-t", "-p", str(tmp_path), "-e", f"{tmp_path}/error.log", "-c", f"{tmp_path}/nginx.conf")
    assert "test is successful" in verdict
    assert "warn" not in verdict


@needs("caddy")
def test_caddy_reads_its_example(tmp_path: Path) -> None:
    where = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    file = DEPLOY / "proxy" / "Caddyfile"
    assert "Valid configuration" in ran("caddy", "validate", "--adapter", "caddyfile", "--config", str(file), **where)
    assert ran("caddy", "fmt", str(file), **where) == file.read_text()
