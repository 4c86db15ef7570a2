"""What the program says of itself: lines without secrets, and failures that can be counted."""
