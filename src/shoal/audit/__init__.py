"""Who changed what, from where, and what it was before: written with the change itself, and kept for a while."""
