"""The phone side of kseg."""
