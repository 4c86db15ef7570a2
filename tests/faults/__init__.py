"""The story checker: people, faults, and what must hold of everything that was said meanwhile."""
