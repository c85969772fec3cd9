"""How fast files are: on this machine, in a browser and on phones."""
