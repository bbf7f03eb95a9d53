"""What the WSGI server and the flask command load."""

from smsapp.factory import create_app

app = create_app()
