"""People and posts: who is there, what they post, how they act, and how that changes them."""
