"""What RQ runs, by dotted name: three lines each. A job carries ids only and may come twice or never."""

from __future__ import annotations
