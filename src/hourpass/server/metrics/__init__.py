"""Figures of a running server for Prometheus, on a port of their own.

    meters      what the process counts: tokens, refusals, batches, answers
    store       what the database knows: clients, keys; read once a minute
    collectors  the two and the processes, when somebody asks
    shared      where several processes of a node count together
    port        `/metrics` and `/readyz` in detail
    serving     which process answers there

Labels have few values, all of them our own words; no text of a caller is ever one.
"""
