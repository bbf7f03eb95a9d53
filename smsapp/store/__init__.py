"""Tables, their queries, and the queue."""
