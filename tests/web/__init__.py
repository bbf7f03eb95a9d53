"""What people do in the pages."""
