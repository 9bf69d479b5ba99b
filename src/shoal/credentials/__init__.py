"""What devices prove themselves with: pre-shared keys now. A key is shown once, when it is made, and kept encrypted."""
