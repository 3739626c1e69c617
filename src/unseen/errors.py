"""The exceptions that unseen raises on purpose.

::

    UnseenError
    ├── InputError (also ValueError)          what the caller gave cannot be used; the CLI exits with 2
    │   ├── ParameterError                    a constructor or function argument
    │   ├── LabelError                        y, kinds, domains or groups
    │   ├── ReadError                         a file or folder that cannot be read
    │   ├── SchemaError                       a table that does not fit the model's columns
    │   └── ModelFormatError                  a saved model that is refused
    ├── NotFittedError (also scikit-learn's)  scoring before fit
    ├── NotCalibratedError                    thresholds or p-values before calibration
    ├── EvaluationError                       a trial of an evaluation broke down
    └── MissingExtraError (also ImportError)  an optional dependency is not installed
"""

from __future__ import annotations

from sklearn.exceptions import NotFittedError as _SklearnNotFittedError


class UnseenError(Exception):
    """Base class of every exception raised on purpose by unseen."""


class InputError(UnseenError, ValueError):
    """Something the caller gave cannot be used as it is."""


class ParameterError(InputError):
    """An argument is outside what is allowed."""


class LabelError(InputError):
    """Labels, kinds, domains or groups do not fit the rows or each other."""


class ReadError(InputError):
    """A file or folder cannot be read."""


class SchemaError(InputError):
    """A table does not have the columns, types or categories that a model was fitted on."""


class ModelFormatError(InputError):
    """A saved model is of an unknown version, damaged, or not one of ours."""


class NotFittedError(UnseenError, _SklearnNotFittedError):
    """The detector has to be fitted first."""


class NotCalibratedError(UnseenError):
    """The detector has to be calibrated first, on rows that it was not fitted on."""


class EvaluationError(UnseenError):
    """A trial of an evaluation broke down; the others are finished and kept."""


class MissingExtraError(UnseenError, ImportError):
    """An optional dependency is needed for what was asked."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs an optional dependency: pip install 'unseen[{extra}]'.")
        self.extra = extra
