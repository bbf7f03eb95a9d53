"""Settings: typed, from the environment, refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask

from config import LONGEST_SOCKET, Config, ConfigError
from smsapp.store.settings import settings


def test_an_empty_environment_is_enough() -> None:
    config = Config.read({})
    assert config.PORT == 8000
    assert config.database_url == f"sqlite:///{config.INSTANCE_DIR}/smsapp.db"
    assert config.redis_url == f"unix://{config.INSTANCE_DIR}/valkey.sock"


def test_every_wrong_value_is_named_at_once() -> None:
    wrong = {
        "PORT": "eighty",
        "SECURE_COOKIES": "maybe",
        "DEFAULT_ZONE": "Mars",
        "DEFAULT_LOCALE": "de",
        "SENDER_SECONDS": "0",
    }
    with pytest.raises(ConfigError) as raised:
        Config.read(wrong)
    assert [problem.split()[0] for problem in raised.value.problems] == list(wrong)


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL"])
def test_a_wrong_address_is_refused_without_its_password(name: str) -> None:
    with pytest.raises(ConfigError) as raised:
        Config.read({name: "mysql://root:geheim@db/sms"})
    assert name in str(raised.value)
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize("given", ["postgres://u@h/d", "postgresql://u@h/d"])
def test_usual_postgresql_addresses_are_understood(given: str) -> None:
    assert Config.read({"DATABASE_URL": given}).database_url == "postgresql+psycopg://u@h/d"


def test_a_public_address_is_one() -> None:
    assert Config.read({"PUBLIC_URL": "https://sms.example.com/"}).PUBLIC_URL == "https://sms.example.com"
    with pytest.raises(ConfigError, match="PUBLIC_URL must be an address"):
        Config.read({"PUBLIC_URL": "sms.example.com"})


def test_a_socket_whose_path_is_too_long_moves(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * LONGEST_SOCKET)
    config = Config.read({"INSTANCE_DIR": str(deep)})
    assert len(str(config.valkey_socket)) <= LONGEST_SOCKET
    assert config.valkey_socket == Config.read({"INSTANCE_DIR": str(deep)}).valkey_socket
    assert config.valkey_socket != Config.read({"INSTANCE_DIR": f"{deep}y"}).valkey_socket
    assert config.valkey_socket.parent.stat().st_mode & 0o777 == 0o700


def test_a_folder_of_the_socket_that_others_may_enter_is_left(tmp_path: Path) -> None:
    config = Config.read({"INSTANCE_DIR": str(tmp_path / ("x" * LONGEST_SOCKET))})
    first = config.valkey_socket.parent
    first.chmod(0o755)
    second = config.valkey_socket.parent
    assert second != first
    first.rmdir()
    second.rmdir()
    assert config.valkey_socket.parent not in {first, second}


def test_the_instance_folder_and_what_is_made_in_it_are_closed_to_others(app: Flask) -> None:
    folder = settings().INSTANCE_DIR
    (folder / "new").touch()
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "new").stat().st_mode & 0o077 == 0


def test_a_role_that_must_have_a_second_factor_is_one() -> None:
    assert Config.read({"REQUIRE_SECOND_FACTOR": "administrator"}).REQUIRE_SECOND_FACTOR == "administrator"
    with pytest.raises(ConfigError, match="REQUIRE_SECOND_FACTOR must be one of"):
        Config.read({"REQUIRE_SECOND_FACTOR": "boss"})


def test_a_provider_is_named_whole_or_not_at_all() -> None:
    issuer = "https://login.example.com/realms/sms"
    whole = {
        "OIDC_ISSUER": issuer,
        "OIDC_CLIENT_ID": "smsapp",
        "OIDC_ROLES": "CN=A,OU=B=operator; admins=administrator",
    }
    config = Config.read(whole | {"LOCAL_SIGN_IN": "0"})
    assert config.OIDC_ROLES == (("CN=A,OU=B", "operator"), ("admins", "administrator"))
    with pytest.raises(ConfigError) as raised:
        Config.read({"OIDC_ISSUER": issuer})
    assert raised.value.problems == [
        "OIDC_CLIENT_ID must be set with OIDC_ISSUER.",
        "OIDC_ROLES must be set with OIDC_ISSUER.",
    ]
    with pytest.raises(ConfigError, match="LOCAL_SIGN_IN must be 1"):
        Config.read({"LOCAL_SIGN_IN": "0"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OIDC_ISSUER", "http://login.example.com"),
        ("OIDC_ISSUER", "login.example.com"),
        ("OIDC_ROLES", "admins=boss"),
        ("OIDC_ROLES", "admins"),
        ("OIDC_ROLES", "=viewer"),
    ],
)
def test_a_wrong_setting_of_a_provider_is_refused(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} must be"):
        Config.read({name: value})


def test_hosts_are_a_list() -> None:
    assert Config.read({"ALLOWED_PRIVATE_HOSTS": "127.0.0.0/8, kannel.lan"}).ALLOWED_PRIVATE_HOSTS == (
        "127.0.0.0/8",
        "kannel.lan",
    )
