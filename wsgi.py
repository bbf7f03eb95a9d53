"""What the WSGI server and the flask command load."""

import gc
import sys

from config import ConfigError
from smsapp.factory import create_app, load

try:
    app = create_app()
except ConfigError as error:
    sys.exit(str(error))
load()
# What is loaded by now is exempt from garbage collection, so forked processes share its memory.
gc.freeze()
