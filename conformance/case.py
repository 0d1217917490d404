"""Case: one property of one subject, a plain function of a backend."""

from dataclasses import dataclass
from typing import Callable, Optional

from conformance.backends.base import Backend


@dataclass(frozen=True)
class Case:
    """One check.

    property_name: what must hold, e.g. 'outputs.integer'; subject: of what; id: 'property/subject'
    tolerance: 'bitwise', or the bound and where it comes from
    check: raises CheckFailed if the property does not hold, or Declined from the backend; returns
        evidence for the report, a dict, or None
    """

    property_name: str
    subject: str
    tolerance: str
    check: Callable[[Backend], Optional[dict]]

    @property
    def id(self):
        """The name by which `--cases` selects and reports show the case."""
        return f"{self.property_name}/{self.subject}"
