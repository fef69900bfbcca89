"""Errors of the validators package.

* ValidatorsError
  x ContractError      a frame breaks its dataset's contract as a whole
  x ReviewedFileError  a reviewed data file (outages, tick sizes) cannot be believed
"""


class ValidatorsError(Exception):
    """Base of the errors a check reports to its user without a traceback."""


class ContractError(ValidatorsError):
    """A frame lacks a column, has a wrong type, or holds rows that may not be published."""


class ReviewedFileError(ValidatorsError):
    """A file of outages or tick sizes misses a key or states a value that makes no sense."""
