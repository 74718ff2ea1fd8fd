"""What the audit trail needs from time to time: its next partitions made, old events removed."""

from hourpass.server.audit.partitions import keep_partitions
from hourpass.server.audit.retention import retain
from hourpass.server.db.engine import Database

SOON_S = 60.0
LATER_S = 3600.0


def keep_up(database: Database, retention_days: int | None) -> float:
    """Do what is due, for a second or so; returns how many seconds later to call it again.

    Raises DatabaseUnavailable.
    """
    try:
        all_made = keep_partitions(database)
    finally:  # a partition that cannot be made keeps nobody from removing what is old
        more = retain(database, retention_days)
    if more:
        return 0.0
    return LATER_S if all_made else SOON_S
