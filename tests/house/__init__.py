"""Rules about the code that a machine can check."""
