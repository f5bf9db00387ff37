"""The pipeline document: its types, reading it from strangers, its placeholders, its faults; it knows no other room."""
