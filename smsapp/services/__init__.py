"""What the product does; the only floor that commits."""
