"""The pipeline document: its types, reading untrusted text, its placeholders, its faults; it imports no other room."""
