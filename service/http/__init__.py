"""Health, metrics and calls over HTTP."""
