"""Settings of a platform reach the executor with their values filled in; labels are what Kubernetes accepts."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine_story import Story, ok
from headrace.attempt.derive import label_value
from scenario import container, document, task
