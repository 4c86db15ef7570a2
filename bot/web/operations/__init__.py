"""What operators look at: health, metrics and the status page."""
