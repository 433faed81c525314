"""`ovc`: the command line client.  It knows the REST API and nothing of the server.

One file a noun; `main` names them and loads only the one that is asked for, because a command
line is started often and must answer at once.
"""
