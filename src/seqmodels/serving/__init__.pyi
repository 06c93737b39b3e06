"""The public names of the package and where they are defined; ``__init__.py`` imports each when it is first used."""

from seqmodels.serving.app import application as application
from seqmodels.serving.limits import Limits as Limits
from seqmodels.serving.server import listen as listen
from seqmodels.serving.server import serve as serve

__all__: list[str]
