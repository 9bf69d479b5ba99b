"""What all rooms downstream of the gateway speak: facts, in the past tense, with the time they happened."""
