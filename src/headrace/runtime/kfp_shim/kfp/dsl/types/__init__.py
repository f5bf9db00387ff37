"""The types of values that flow between tasks."""
