"""One file per revision of the schema. A published one never changes."""
