"""What is seen and said, on any transport; nothing here knows which one it is."""
