"""The composition root: which parts the daemon has, how they are joined, and what watches them."""
