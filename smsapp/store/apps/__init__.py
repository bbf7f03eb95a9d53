"""Tables and queries of AppKeys and of what apps report."""
