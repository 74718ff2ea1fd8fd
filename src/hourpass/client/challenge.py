"""Whether an API says that the token is not good any more (RFC 6750 section 3, RFC 9110 11.6.1)."""

import re

_MAX_LENGTH = 16_384
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PART = re.compile(
    rf"[ \t,]*(?P<name>{_WORD})"
    r"(?:[ \t]*=[ \t]*(?:\"(?P<quoted>(?:[^\"\\]|\\.)*)\"|(?P<plain>[^ \t,\"=]+))"
    r"(?=[ \t]*(?:,|$))"  # else it is a scheme's token68, or broken
    r"|[ \t]+(?P<token68>[A-Za-z0-9._~+/-]+=*)(?=[ \t]*(?:,|$))"
    r"|(?=[ \t,]|$))"
)


def says_invalid_token(header: str) -> bool:
    """Whether a Bearer challenge in these `WWW-Authenticate` values has `error="invalid_token"`.

    `header` is one value, or several joined by commas. A challenge of another scheme does not
    count, nor the words inside another parameter; what is malformed says nothing.
    """
    if len(header) > _MAX_LENGTH:
        return False
    bearer = False
    at = 0
    while at < len(header):
        part = _PART.match(header, at)
        if part is None:
            return False
        at = part.end()
        value = part["quoted"] if part["quoted"] is not None else part["plain"]
        if value is None:
            bearer = part["name"].lower() == "bearer"
        elif bearer and part["name"].lower() == "error":
            return re.sub(r"\\(.)", r"\1", value) == "invalid_token"
    return False
