"""README's table of settings, the pinned dependencies and their locks, and the version are what the code says."""

from __future__ import annotations

import re
import tomllib

import pytest

from config import HERE
from smsapp.cli import supervision
from smsapp.cli.settings import table
from smsapp.domain.version import VERSION

REQUIREMENTS = ("requirements.txt", "requirements-dev.txt")
LOCKS = ("requirements.lock", "requirements-dev.lock")
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(\[[a-z,]+\])?==[0-9][A-Za-z0-9.]*$")


def lines(name: str) -> list[str]:
    text = (HERE / name).read_text()
    return [line for line in text.splitlines() if line and not line.startswith(("#", "-r "))]


def test_the_table_in_the_readme_is_made_from_the_settings() -> None:
    readme = (HERE / "README.md").read_text()
    assert table() in readme, "run `flask settings` and paste its table into README.md"


@pytest.mark.parametrize("name", REQUIREMENTS)
def test_every_dependency_is_pinned_exactly(name: str) -> None:
    loose = [line for line in lines(name) if not PINNED.match(line)]
    assert not loose, loose


def test_every_dependency_is_explained_on_one_line() -> None:
    explained = (HERE / "docs" / "dependencies.md").read_text().lower()
    for name in REQUIREMENTS:
        for line in lines(name):
            package = line.split("=")[0].split("[")[0].lower()
            assert explained.count(f"| `{package}` |") == 1, f"docs/dependencies.md needs one line for {package}"


def pins(name: str) -> dict[str, set[str]]:
    """Return {package: its versions}; a lock may have one for each of several Python versions."""
    versions: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[a-z,]+\])?==([^\s;]+)", (HERE / name).read_text(), re.MULTILINE
    ):
        versions.setdefault(package.lower().replace("_", "-"), set()).add(version)
    return versions


@pytest.mark.parametrize(("name", "lock"), list(zip(REQUIREMENTS, LOCKS, strict=True)))
def test_a_lock_holds_exactly_what_is_required(name: str, lock: str) -> None:
    locked = pins(lock)
    different = {package: version for package, version in pins(name).items() if locked.get(package) != version}
    assert not different, f"run `make lock`: {different}"


def test_developers_run_what_the_product_runs_on() -> None:
    product, everything = (pins(lock) for lock in LOCKS)
    different = {package: versions for package, versions in product.items() if everything.get(package) != versions}
    assert not different, f"run `make lock`: {different}"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_and_names_neither_address_nor_path(lock: str) -> None:
    text = (HERE / lock).read_text()
    bare = [
        entry for entry in re.split(r"\n(?=\S)", text) if not entry.startswith("#") and "--hash=sha256:" not in entry
    ]
    assert not bare, bare
    assert not re.search(r"/|^-|@ ", text, re.MULTILINE)


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["version"]
    assert f"ARG VERSION={version}\n" in (HERE / "deploy" / "Dockerfile").read_text()
    assert f"\n## {version} - " in (HERE / "CHANGELOG.md").read_text()
    assert version == VERSION


def test_every_deployment_serves_by_the_one_configuration_of_gunicorn() -> None:
    """Options of a command line would go unseen: quotas are shared out among WEB_WORKERS while Redis is away."""
    dockerfile = (HERE / "deploy" / "Dockerfile").read_text()
    unit = (HERE / "deploy" / "systemd" / "smsapp-web.service").read_text()
    assert 'CMD ["gunicorn", "wsgi:app"]' in dockerfile
    assert re.search(r"^ExecStart=\S+/gunicorn wsgi:app$", unit, re.MULTILINE)
    assert supervision.web()[1:] == ["-m", "gunicorn", "wsgi:app"]
    assert re.search(r"^COPY .*\bgunicorn\.conf\.py\b", dockerfile, re.MULTILINE)
