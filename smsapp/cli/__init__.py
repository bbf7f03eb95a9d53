"""The door for the command line: one module per noun."""
