"""What people are told of a booking, planned: rows of the ledger that `workers` deliver."""
