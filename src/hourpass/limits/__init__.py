"""How many requests a client may make in a minute: counted, told and refused.

rules.py    what is counted for a request, and what the answer's headers say; pure
memory.py   windows in the memory of one process
shared.py   windows in Valkey or Redis, one limit for all processes
limiter.py  either of them; in memory while the shared store is away

Knows nothing of HTTP frameworks, tokens or databases: whoever calls says which client it is and
what granted its request.
"""

from hourpass.limits.limiter import Limiter
from hourpass.limits.rules import MAX_PER_MINUTE, PerMinute, Rule, Verdict

__all__ = ["MAX_PER_MINUTE", "Limiter", "PerMinute", "Rule", "Verdict"]
