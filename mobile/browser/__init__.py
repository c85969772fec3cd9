"""Pages in a browser: served, opened and driven on this machine."""
