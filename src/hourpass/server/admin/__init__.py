"""The admin UI: pages for operators, rendered on the server.

The pages know the deeds of the rooms below and nothing of their rows. Who may do what is decided by
the deeds, with the rights that a visit carries; a page only hides what would be refused.
"""
