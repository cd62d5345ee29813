"""What serves feeds: the house policy, the protocol of other policies, and the blend of slots."""
