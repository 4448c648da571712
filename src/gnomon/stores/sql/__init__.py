"""What every SQL store shares: the schema, statements and rows, one file per resource. May import `core` only."""
