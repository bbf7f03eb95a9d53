"""Rules and words. No Flask, no SQLAlchemy, no Redis, no clock, no network."""
