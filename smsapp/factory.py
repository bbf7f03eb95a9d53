"""Wiring: one application from one Config. The only module besides wsgi.py and worker.py that imports every layer."""

from __future__ import annotations

import importlib
import os
import pkgutil

from flask import Flask
from flask_migrate import Migrate
from flask_wtf import CSRFProtect
from sqlalchemy.orm import configure_mappers

from config import HERE, Config
from smsapp import api, cli, web
from smsapp.api import document, door
from smsapp.cli.output import command_locale
from smsapp.mcp import command as mcp
from smsapp.services.channels import registry
from smsapp.services.platform import logs
from smsapp.store import deadline, queue
from smsapp.store import settings as stored_settings
from smsapp.store.db import as_json, db
from smsapp.store.receipts import inbox
from smsapp.store.sqlite import prepare_engine
from smsapp.web import edge, guard, inputs, language, metrics, refill, render, start_check
from smsapp.web.application import Application

LARGEST_FORM = 2 * 1024 * 1024
"""Bytes of a request's body, except where files are uploaded (web/guard.py `uploads`)."""
ENGINES = {"pool_pre_ping": True, "json_serializer": as_json, "hide_parameters": True}

csrf = CSRFProtect()
migrate = Migrate(directory=str(HERE / "smsapp" / "store" / "migrations"), compare_type=True)


def create_app(config: Config | None = None) -> Flask:
    """Return an application that serves pages, runs commands and gives jobs their context."""
    config = config or Config.read(os.environ)
    logs.set_up(config.LOG_LEVEL, config.LOG_FORMAT)
    # Databases, keys, uploads and logs are readable by this user only.
    os.umask(0o077)
    config.INSTANCE_DIR.mkdir(parents=True, exist_ok=True)
    if config.INSTANCE_DIR.stat().st_uid == os.getuid():
        config.INSTANCE_DIR.chmod(0o700)
    app = Application("smsapp", root_path=str(HERE / "smsapp"), instance_path=str(config.INSTANCE_DIR))
    # An address is found with and without a slash at its end.
    app.url_map.strict_slashes = False
    app.extensions[stored_settings.EXTENSION] = config
    app.url_map.converters.update(int=inputs.IdConverter, long=inputs.LongIdConverter)
    app.config.update(
        SECRET_KEY=stored_settings.secret_key(config),
        SQLALCHEMY_DATABASE_URI=config.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=ENGINES,
        SQLALCHEMY_BINDS=inbox.binds(config.database_url, ENGINES),
        # Browsers refuse a cookie with this prefix from another subdomain and without https.
        SESSION_COOKIE_NAME="__Host-smsapp" if config.SECURE_COOKIES else "smsapp",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=config.SECURE_COOKIES,
        PUBLIC_URL=config.PUBLIC_URL,
        NO_SEND=config.NO_SEND,
        ANSWERED_HOSTS=config.answered_hosts,
        HSTS=hsts(config),
        METRICS_PORT=config.METRICS_PORT,
        METRICS_TOKEN=config.METRICS_TOKEN,
        MAX_CONTENT_LENGTH=LARGEST_FORM,
        MAX_UPLOAD_LENGTH=config.MAX_UPLOAD_MB * 1024 * 1024,
        WTF_CSRF_TIME_LIMIT=None,
        BABEL_DEFAULT_LOCALE=config.DEFAULT_LOCALE,
        BABEL_DEFAULT_TIMEZONE=config.DEFAULT_ZONE,
        DEFAULT_REGION=config.DEFAULT_REGION,
    )
    edge.init_app(app, config.TRUSTED_PROXIES)
    db.init_app(app)
    with app.app_context():
        for engine in db.engines.values():
            deadline.prepare_engine(engine, config.REQUEST_SECONDS)
            prepare_engine(engine)
    migrate.init_app(app, db)
    queue.init_app(app, config.redis_url)
    language.init_app(app, command_locale)
    start_check.init_app(app)
    metrics.init_app(app)
    # Before CSRF, which reads the whole body: the guard first checks who may send one.
    guard.init_app(app)
    csrf.init_app(app)
    render.init_app(app)
    refill.init_app(app)
    app.request_class = inputs.plain(app.request_class)
    pages = [
        importlib.import_module(f"smsapp.web.{module_info.name}") for module_info in pkgutil.iter_modules(web.__path__)
    ]
    # Several modules may add their pages to one blueprint.
    for blueprint in dict.fromkeys(module.bp for module in pages if hasattr(module, "bp")):
        app.register_blueprint(blueprint)
    for module_info in pkgutil.iter_modules(api.__path__):
        importlib.import_module(f"smsapp.api.{module_info.name}")
    door.init_app(app)
    app.register_blueprint(document.bp)
    for module_info in pkgutil.iter_modules(cli.__path__):
        module = importlib.import_module(f"smsapp.cli.{module_info.name}")
        if hasattr(module, "command"):
            app.cli.add_command(module.command)
    app.cli.add_command(mcp.command)
    return app


def hsts(config: Config) -> str:
    """Return the value of Strict-Transport-Security; "" if it is not sent."""
    if not config.HSTS_SECONDS:
        return ""
    return f"max-age={config.HSTS_SECONDS}" + ("; includeSubDomains" if config.HSTS_SUBDOMAINS else "")


def load() -> None:
    """Load, before the processes are forked, what the first request or job would otherwise load."""
    configure_mappers()
    registry.kinds()
    importlib.import_module(queue.TASKS.removesuffix("."))
