"""What can be done: one noun a file.

Every function takes a `Work` first: the transaction, who acts through which door, and the clock.
They raise domain errors (raising rolls back), never commit, and never touch the outside world.
Rights are checked by the faces through the context's privileges before a service is called;
lists take the actor's visibility predicate.
"""
