"""How gunicorn serves `wsgi:app`. It reads this file from the folder it is started in; the rest is in config.py."""

import os
import sys

from gunicorn.glogging import Logger

from config import Config, ConfigError
from smsapp.services.platform import logs, metrics_folder


class Lines(Logger):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's own lines look like all others. No access log: addresses of callbacks are secrets."""

    def setup(self, _cfg: object) -> None:
        """Leave the lines to the root logger."""
        self.error_log.propagate = True


try:
    _settings = Config.read(os.environ)
except ConfigError as error:
    sys.exit(str(error))
logs.set_up(_settings.LOG_LEVEL, _settings.LOG_FORMAT)
# Before prometheus_client is loaded: processes keep their numbers in files of this folder, and each answers for all.
os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics_folder.prepare(_settings.INSTANCE_DIR))

_host = f"[{_settings.HOST}]" if ":" in _settings.HOST else _settings.HOST
bind = [f"{_host}:{port}" for port in (_settings.PORT, _settings.METRICS_PORT) if port]
worker_class = "gthread"
workers = _settings.WEB_WORKERS
threads = 8
preload_app = True
timeout = 120
graceful_timeout = 10
# Longer than at providers: a callback that is sent while an idle connection is closed is lost; Kannel tries each once.
keepalive = 75
# The largest limit: without one, reading a long address takes quadratic time.
limit_request_line = 8190
control_socket_disable = True
# smsapp/web/edge.py decides whose headers are believed.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
logger_class = Lines
