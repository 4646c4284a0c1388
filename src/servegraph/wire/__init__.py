"""Bodies as bytes and back."""
