"""The version of the product, as backups and logs name it."""

VERSION = "0.2.0"
