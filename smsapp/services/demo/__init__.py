"""Demo data: invented people and past campaigns whose numbers add up."""
