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
# A page makes thousands of objects and hardly a cycle: looking for cycles at each few hundred would cost it a tenth.
gc.set_threshold(20_000, 50, 1_000)
