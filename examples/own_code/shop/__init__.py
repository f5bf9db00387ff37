"""A package of the project, as any other: it knows nothing of pipelines."""
