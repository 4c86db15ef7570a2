"""Who is there, who types and what has arrived: notes that expire, and how far somebody has read."""
