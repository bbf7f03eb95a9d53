"""Entry points for RQ: tasks, and the list of periodic tasks."""
