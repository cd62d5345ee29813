"""The synthetic platform: config in, a log of what its people did out; `simulate` runs it."""
