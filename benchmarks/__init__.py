"""What Janji can do on this machine, measured from outside and beside something bare: `python -m benchmarks`."""
