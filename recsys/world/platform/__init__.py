"""What serves: the house policy, other policies, and the blend of slots."""
