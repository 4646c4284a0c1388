"""HELP OUT: threads shared by all that need them."""
