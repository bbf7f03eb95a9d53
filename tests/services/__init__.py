"""What the product does, as stories."""
