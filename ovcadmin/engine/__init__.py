"""The operation engine: types, store (claim, lease, fence, end), run, dispatch and reaper.

The row is the message.  It is written with the change it belongs to; a worker claims it with a
lease and an attempt number; every later write is fenced by that number, so that of two workers
that believe to own an operation only the newer one can change anything.
"""
