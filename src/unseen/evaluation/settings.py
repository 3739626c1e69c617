"""What an evaluation does the same way for every detector and split."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from unseen.checks import check_choice, check_int, check_real
from unseen.types import Json

ThresholdRule = Literal["f1", "false-alarm"]
ViewChoice = Literal["as-given", "auto"]


@dataclass(frozen=True)
class Settings:
    """What an evaluation does the same way for every detector and split.

    Attributes
    ----------
    threshold_rule : {"f1", "false-alarm"}
        Where the one threshold lies at which precision, recall, accuracy and F1 are taken. ``"f1"``: where
        F1 is largest over the held-back normals and validation rows of known kinds, which are weighted to
        equal shares if test sets are balanced; where there are no anomalies to validate on, as for
        ``"false-alarm"``: where at most ``false_alarm_rate`` of calibration normals are flagged.
    false_alarm_rate : float in (0, 1)
        Share of normals that may be flagged.
    view : {"as-given", "auto"}
        ``"auto"``: the view of each detector is chosen anew in each split, on its training rows.
    n_references : int
        Normals of each training domain that serve as references while a view is chosen.
    preprocessing : dict
        Parameters of :class:`unseen.data.TablePreprocessor`.
    latent_rows : int
        How many test rows' latent positions are kept for the picture.
    """

    threshold_rule: ThresholdRule = "f1"
    false_alarm_rate: float = 0.01
    view: ViewChoice = "as-given"
    n_references: int = 8
    preprocessing: Mapping[str, Json] = field(default_factory=dict)
    latent_rows: int = 2000

    def check(self) -> None:
        """Raise ParameterError if a value is outside what is allowed."""
        check_choice("evaluate", "threshold_rule", self.threshold_rule, get_args(ThresholdRule))
        check_choice("evaluate", "view", self.view, get_args(ViewChoice))
        check_int("evaluate", "n_references", self.n_references, minimum=1)
        check_int("evaluate", "latent_rows", self.latent_rows, minimum=0)
        check_real(
            "evaluate",
            "false_alarm_rate",
            self.false_alarm_rate,
            minimum=0,
            maximum=1,
            open_minimum=True,
            open_maximum=True,
        )
