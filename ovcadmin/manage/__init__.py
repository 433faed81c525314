"""The local command `ovcadmin`: what is done on the machine itself, by whoever owns its files."""
