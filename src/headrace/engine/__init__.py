"""The pure brain: which tasks of a run happen, when and with what; it never knows of disks, clocks or processes."""

from headrace.engine.advance import advance
from headrace.engine.arguments import ArgumentFault, InvalidArguments
from headrace.engine.attempts import MAX_LOST
from headrace.engine.commands import outstanding, wake_at
from headrace.engine.fingerprint import fingerprint, fingerprint_parts, shown_parts, uses_cache
from headrace.engine.graph import graph
from headrace.engine.limits import run_timeout_s, time_to_live_s
from headrace.engine.mark_checks import InvalidOutputs, OutputFault, check_outputs, mark_refused
from headrace.engine.plan import MAX_DEPTH, MAX_EXECUTIONS, MAX_LOOP_ITEMS, Plan, node_path, plan
from headrace.engine.rerun import InvalidRerun, RerunFault, ReusePlan, plan_reuse
from headrace.engine.run import decode_header, encode_header, header, new_run, restore

__all__ = [
    "MAX_DEPTH",
    "MAX_EXECUTIONS",
    "MAX_LOOP_ITEMS",
    "MAX_LOST",
    "ArgumentFault",
    "InvalidArguments",
    "InvalidOutputs",
    "InvalidRerun",
    "OutputFault",
    "Plan",
    "RerunFault",
    "ReusePlan",
    "advance",
    "check_outputs",
    "decode_header",
    "encode_header",
    "fingerprint",
    "fingerprint_parts",
    "graph",
    "header",
    "mark_refused",
    "new_run",
    "node_path",
    "outstanding",
    "plan",
    "plan_reuse",
    "restore",
    "run_timeout_s",
    "shown_parts",
    "time_to_live_s",
    "uses_cache",
    "wake_at",
]
