"""Whether anybody is written to twice, or forgotten, when everything dies at random moments: see __main__.py."""
