"""One frame of reference onto another."""
