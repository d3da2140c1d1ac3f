"""What is due when, who runs it and who is told."""
