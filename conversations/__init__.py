"""Where the guest stands, what the bot says, how a booking lives: pure, without I/O, clock or randomness."""
