"""The product's web application, with the kinds of channels that only measurements need: what gunicorn serves here."""

import bench.worker  # noqa: F401
from wsgi import app

__all__ = ["app"]
