"""From per-user rows to tables, a file a table."""
