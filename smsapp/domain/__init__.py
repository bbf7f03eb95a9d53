"""Business rules and vocabulary. No Flask, no SQLAlchemy, no Redis, no clock, no network."""
