"""What a user may ask of a protocol, checked once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from unseen.checks import check_choice, check_int, check_real
from unseen.errors import ParameterError

Contaminants = Literal["all", "known", "held-out"]
ReferenceOrder = Literal["first", "random"]


@dataclass(frozen=True)
class Options:
    """Arguments of :func:`unseen.protocols.held_out.leave_one_kind_out`, where each is explained.

    Attributes
    ----------
    shots : int
        Labelled rows a known kind, training and validation together.
    max_normals : int or None
        Most normals to train on.
    balanced : bool
        Whether test sets hold as many normals as anomalies.
    contamination : float in [0, 0.5]
        Share of the training normals that is replaced by anomalies.
    contaminants : {"all", "known", "held-out"}
        The kinds they come from.
    references : int
        References a test domain.
    reference_order : {"first", "random"} or None
        Which normals of a domain serve.
    validation_fraction, calibration_fraction : float in [0, 1)
        Shares of the shots and held-back normals, and of the normals.
    test_fraction : float in (0, 1)
        Share of the rows, or domains, that one table gives to the test.
    domain_split : bool or None
        Whether test domains are new ones.
    new_domains : sequence of str or None
        Names of the test domains.
    """

    shots: int
    max_normals: int | None
    balanced: bool
    contamination: float
    contaminants: Contaminants
    references: int
    reference_order: ReferenceOrder | None
    validation_fraction: float
    calibration_fraction: float
    test_fraction: float
    domain_split: bool | None
    new_domains: Sequence[str] | None

    def check(self, owner: str) -> None:
        """Raise ParameterError if an argument is outside what is allowed."""
        check_int(owner, "shots", self.shots, minimum=0)
        if self.max_normals is not None:
            check_int(owner, "max_normals", self.max_normals, minimum=1)
        check_real(owner, "contamination", self.contamination, minimum=0, maximum=0.5)
        check_choice(owner, "contaminants", self.contaminants, ("all", "known", "held-out"))
        check_int(owner, "references", self.references, minimum=0)
        if self.reference_order is not None:
            check_choice(owner, "reference_order", self.reference_order, ("first", "random"))
        for name in ("validation_fraction", "calibration_fraction"):
            check_real(owner, name, getattr(self, name), minimum=0, maximum=1, open_maximum=True)
        check_real(
            owner,
            "test_fraction",
            self.test_fraction,
            minimum=0,
            maximum=1,
            open_minimum=True,
            open_maximum=True,
        )
        if isinstance(self.new_domains, str):
            raise ParameterError(f"{owner}: new_domains must be a sequence of names, not one str.")
        if self.new_domains is not None and self.domain_split is False:
            raise ParameterError(f"{owner}: new_domains cannot be used with domain_split=False.")
