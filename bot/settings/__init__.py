"""What an installation may choose: read from the environment, checked, explained when it is wrong."""
