"""Attempts as processes and containers of this machine, which outlive the server and are found again.

The executor is put together in `assemble`. It knows nothing of the database or of runs beyond their ids.
"""
