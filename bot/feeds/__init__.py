"""The ordered logs that people read: written once, numbered without gaps, followed from a cursor."""
