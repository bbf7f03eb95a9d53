"""What programs do with the HTTP API."""
