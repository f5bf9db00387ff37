"""Make attempts happen: one port, and an executor behind it for each kind of place where attempts can run."""
