"""SMPP 3.4 without the product: frames, one session, texts and deliveries."""
