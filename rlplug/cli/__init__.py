"""The command line, one file a command; imports neither torch, gymnasium nor ray."""
