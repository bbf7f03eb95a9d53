"""What apps report to /up: keys, quotas, uploads, and how they become contacts."""
