"""Results as text, tables and plots for people."""
