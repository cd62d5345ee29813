"""Tools that all other parts use: errors, addressed draws, lazy attributes, jobs, threads."""
