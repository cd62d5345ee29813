"""The feeds of each arm, and what they measure."""
