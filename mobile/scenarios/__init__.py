"""What people want a phone's net for, one call each."""
