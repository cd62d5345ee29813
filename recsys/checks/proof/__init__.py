"""Claims about the tool itself, and what they measure."""
