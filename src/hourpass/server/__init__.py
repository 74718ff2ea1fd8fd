"""The authorization server: issues, checks and manages client credentials.

Rooms, each importing only those below it (import-linter holds the rule):
`app → endpoints → context → tokens → clients → catalogue | keys → organizations → audit → db`.
"""
