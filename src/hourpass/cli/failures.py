"""What the server's own errors are on the command line: one line and an exit status."""

from collections.abc import Callable

from hourpass.cli.output import REFUSED, USAGE, say
from hourpass.server.catalogue.file import CatalogueFault
from hourpass.server.catalogue.model import UnknownScope
from hourpass.server.config import SettingsFault
from hourpass.server.context import InstallationFault
from hourpass.server.db.engine import DatabaseBusy, DatabaseUnavailable
from hourpass.server.keys.master import WrongMasterKey
from hourpass.server.refused import BadInput, Conflict, Forbidden, Missing


def guard(command: Callable[[], int]) -> int:
    """Run a command; the failures we know become a line each, a bug stays a traceback."""
    try:
        return command()
    except SettingsFault as fault:
        for line in fault.faults:
            say(f"hourpass: {line}")
        return USAGE
    except CatalogueFault as fault:
        for line in fault.faults:
            say(f"hourpass: {line}")
        return REFUSED
    except DatabaseBusy as fault:
        say(
            f"hourpass: the database is busy: {fault}; see which other program uses it, let it "
            "finish or end it, then try again"
        )
    except DatabaseUnavailable as fault:
        say(f"hourpass: the database is not available: {fault}")
    except UnknownScope as fault:
        say(f"hourpass: {fault.listed_by('`hourpass scopes list`')}")
    except (Missing, BadInput, Conflict, Forbidden, InstallationFault, WrongMasterKey) as fault:
        say(f"hourpass: {fault}")
    return REFUSED
