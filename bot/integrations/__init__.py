"""What other systems tell us: verified, kept in an inbox, turned into events; and what they are told in return."""
