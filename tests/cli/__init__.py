"""Commands, as an administrator runs them."""
