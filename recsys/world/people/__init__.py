"""Who is there, what they post, and how they act."""
