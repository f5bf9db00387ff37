"""HTTP over one service: routes, sessions, event streams and the built UI; it knows nothing of how runs are driven."""
