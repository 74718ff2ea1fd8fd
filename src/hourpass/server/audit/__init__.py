"""The audit trail: what was done, by whom, to which client. Written with the deed, never after."""
