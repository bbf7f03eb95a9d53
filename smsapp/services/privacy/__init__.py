"""People's data: erased, exported, and removed when it is old."""
