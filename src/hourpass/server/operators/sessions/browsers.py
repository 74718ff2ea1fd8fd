"""What a browser calls itself, in words that a person knows it by. Pure."""

# In this order: each of these also calls itself by the names of those below.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
)


def name_of(user_agent: str) -> str | None:
    """Browser and system, as "Firefox on Linux", in a few words of ours and none of the caller's.

    None where neither is told. Nobody vouches for it: it helps people to know their own sessions
    apart, and decides nothing.
    """
    browser = next((name for sign, name in _BROWSERS if sign in user_agent), None)
    system = next((name for sign, name in _SYSTEMS if sign in user_agent), None)
    if browser is None and system is None:
        return None
    return " on ".join(filter(None, (browser or "A browser", system)))
