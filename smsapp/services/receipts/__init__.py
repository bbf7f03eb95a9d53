"""What providers report later: callbacks, receipts, replies, and messages whose answer was lost."""
