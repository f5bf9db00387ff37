"""The tables, and every query on them; it never decides anything and never knows who asks."""
