"""Images in the registry: what is in them, what is known against it, and who has signed them."""
