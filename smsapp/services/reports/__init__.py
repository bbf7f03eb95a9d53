"""What became of a campaign: its numbers, its recipients, its headline; and whether the numbers add up."""
