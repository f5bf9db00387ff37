"""Headrace's markers under the name KFP has for them."""

from headrace.runtime.markers import *
