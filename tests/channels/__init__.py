"""Adapters against real sockets; contract.py is inherited by each."""
