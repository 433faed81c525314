"""What development and tests need in place of things that not everybody has.

Nothing here is imported by the console itself; `ovcadmin simulate` starts it.
"""
