"""A collection of pairs: each pair is done by some worker, once as far as anybody can see, whatever is killed.

    manifest.py    the table of pairs, checked before anything runs
    rows.py        what a worker does: a pair becomes an output and a row of results
    job.py         what is left to do, attempts, the results of all of them
    store.py       files on disks and in object stores
    local.py, ray.py    engines: who runs the workers

A job is cut into numbered blocks of pairs, and its plan is a file that every worker can read. A worker takes a number,
writes the outputs of that block, and then its rows as one file that is called by that number. Whoever does a block
again writes the same files. So an engine needs to know nothing of all this: it runs each number at least once.
"""
