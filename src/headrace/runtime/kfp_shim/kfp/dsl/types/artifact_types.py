"""Headrace's own artifact classes under the name KFP has for them."""

from headrace.dsl.types.artifact_types import *
