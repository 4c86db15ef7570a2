"""What Janji remembers in MongoDB: one module per collection, one module that knows the driver."""
