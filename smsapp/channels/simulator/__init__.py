"""The simulator: produces every outcome, and sends nothing."""

from smsapp.channels.simulator.adapter import Simulator

__all__ = ["Simulator"]
