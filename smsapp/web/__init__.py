"""The door for browsers, SDKs and providers."""
