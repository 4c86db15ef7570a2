"""How processes start, end and fare: servers on loopback, supervision, signals, vital signs."""
