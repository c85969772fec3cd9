"""Whether a phone's GPU takes a file: by rules, and by running it."""
