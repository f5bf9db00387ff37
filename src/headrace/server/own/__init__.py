"""Our own API below `/api`: views, live events, logs and artifacts, for the UI, the CLI and the client."""
