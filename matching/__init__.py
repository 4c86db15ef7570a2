"""Who is asked, in which order and for how long: pure decisions about searches, without I/O, clock or randomness."""
