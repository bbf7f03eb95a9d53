"""What every service may use: users, audit log, clock, shutdown, group commit."""
