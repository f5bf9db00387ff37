"""Recurring runs as pure rules: when they are due, what a tick's run is called, what its parameters become.

No clock and no I/O: the time is an argument. A *tick* is one time at which a recurring run is due; it makes one run.
"""
