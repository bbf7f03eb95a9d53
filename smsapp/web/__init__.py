"""Pages for browsers, and endpoints for SDKs and providers."""
