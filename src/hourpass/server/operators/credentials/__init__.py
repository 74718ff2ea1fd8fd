"""How operators prove who they are: passwords, authenticator apps, recovery codes, passkeys."""
