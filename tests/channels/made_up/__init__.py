"""A provider nobody runs, written by docs/adding-a-channel.md: its two files, for the test of the contract."""
