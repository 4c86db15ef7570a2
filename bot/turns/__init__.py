"""The one motion that changes records: load, decide, save, perform; and the clocks and sweeps that keep it going."""
