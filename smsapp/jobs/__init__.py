"""The door for RQ: tasks and the calendar of periodic tasks."""
