"""The catalogue: which APIs there are, their scopes, and the requests each scope grants."""
