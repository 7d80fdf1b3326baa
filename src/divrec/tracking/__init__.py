"""Where runs are logged. W&B is imported in one file here and nowhere else, and only where it is asked for."""

from divrec.tracking.guard import Guarded
from divrec.tracking.loggers import log_final, tracked

__all__ = ["Guarded", "log_final", "tracked"]
