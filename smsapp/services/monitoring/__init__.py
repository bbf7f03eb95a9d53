"""How the installation does: what doctor, /readyz and the measurements tell."""
