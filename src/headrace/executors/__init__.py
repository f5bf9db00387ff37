"""Makes attempts happen and says what they did; knows nothing of runs, the database or the web."""
