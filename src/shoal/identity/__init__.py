"""Who asks: people with an email address and a password, and tokens for people and programs."""
