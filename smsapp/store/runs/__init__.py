"""Tables and queries of runs: messages, batches, tallies, exclusions."""
