"""Tables and queries of contacts, segments and opt-outs."""
