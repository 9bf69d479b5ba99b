"""What we ask of devices: durable, in order, and patient until a sleeping device wakes. The gateway carries them."""
