"""What each document of the shared corpus of KFP-compiled pipelines comes to here: a line each.

A line names every task (and importer) that there is when the run has ended, and whatever was skipped, by path:
plain succeeded, `-` skipped, `!` failed, `?` left to chance (it succeeded, was skipped, or was never reached); with
`/**?` all below is. `[*3]` stands for `[0]`, `[1]` and `[2]`. Outputs are the run's own; a pattern is a text they must match as JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The end of a run."""

    state: str
    tasks: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    #: The code of the run's error, or of the refusal.
    code: str = ""
    #: Runs in containers, of images that the test makes.
    container: bool = False
    #: What it would need to come to more than this.
    needs: str = ""

    def ways(self) -> dict[str, str]:
        """Path -> its mark, with the ranges written out."""
        found = {}
        for word in self.tasks.split():
            mark = word[-1] if word[-1] in "-!?" else ""
            for path in _written_out(word.removesuffix(mark) if mark else word):
                found[path] = mark
        return found


def _written_out(pattern: str) -> list[str]:
    parts = re.split(r"\[\*(\d+)\]", pattern)
    counts = [range(int(number)) for number in parts[1::2]]
    return [
        "".join(text + (f"[{chosen[at]}]" if at < len(chosen) else "") for at, text in enumerate(parts[::2]))
        for chosen in product(*counts)
    ]


def succeeded(tasks: str, **more: Any) -> Expected:
    """The run succeeds."""
    return Expected(state="SUCCEEDED", tasks=tasks, **more)


def failed(tasks: str, code: str, **more: Any) -> Expected:
    """The run fails, as it should or because something is not to be had on one machine."""
    return Expected(state="FAILED", tasks=tasks, code=code, **more)


def refused(code: str, **more: Any) -> Expected:
    """No run is made of it."""
    return Expected(state="REFUSED", code=code, **more)


_LIST_OF_TWO = [{"A_a": "1", "B_b": "2"}, {"A_a": "10", "B_b": "20"}]
_FLIPPED = '"Got (heads|tails)!"'
_TEXTS = {"output_parameter_path": "hi", "output_bool_parameter_path": True, "output_dict_parameter_path": {"a": 1}, "output_list_parameter_path": [1, 2]}  # fmt: skip

# fmt: off
EXPECTED: dict[str, Expected] = {
    "arguments_parameters": succeeded("echo", args={"param2": "there"}, container=True),
    "artifacts_simple": succeeded("add add-container for-loop-2[*3]/double", container=True),
    "component_with_task_final_status_GH-12033": succeeded("exit-comp"),
    "components_with_optional_artifacts": succeeded("custom-artifact-printer custom-artifact-printer-2 importer inner-pipeline-2/python-artifact-printer inner-pipeline/python-artifact-printer", container=True),
    "container_with_artifact_output": failed("container-with-artifact-output!", "IMAGE_NOT_FOUND", args={"num_epochs": 3}, container=True, needs="an image that nobody has"),
    "container_with_concat_placeholder": failed("container-with-concat-placeholder!", "COMMAND_NOT_FOUND", needs="a program that no image here has", args={"text1": "one"}, container=True),
    "critical/container_component_with_no_inputs": succeeded("hello-world-container", container=True),
    "critical/missing_kubernetes_optional_inputs": succeeded("log-message"),
    "critical/mixed_parameters": succeeded("crust-comp mantle/core/core-comp"),
    "critical/modelcar": failed("build-model-car importer get-model-files-list!", "USER_EXCEPTION", needs="a registry and Kubernetes, to show an image's files in a task"),
    "critical/multiple_parameters_namedtuple": succeeded("crust-comp mantle/core/core-comp"),
    "critical/notebook_component_simple": succeeded("run-train-notebook"),
    "critical/parameter_oneof": succeeded("crust-comp mantle/core/flip-coin mantle/core/condition-branches-1/**?"),
    "critical/pipeline_with_artifact_custom_path": succeeded("component-output-artifact validate-input-artifact"),
    "critical/pipeline_with_importer_workspace": succeeded("write-dir-artifact write-file-artifact get-uri-2 get-uri import-stage/importer import-stage/importer-2 import-stage/train import-stage/read-dir", outputs={"dir_result": "part-000.txt,part-001.txt", "train_result": "123"}),
    "critical/pipeline_with_pod_metadata": failed("validate-no-pod-metadata! validate-pod-metadata-task-a! validate-pod-metadata-task-b! validate-pod-metadata-task-c! validate-pod-metadata-task-d!", "USER_EXCEPTION", needs="Kubernetes: the tasks read their own pods"),
    "critical/pipeline_with_retry": succeeded("add"),
    "critical/pipeline_with_secret_as_env": failed("generate-secret-name comp!", "USER_EXCEPTION", needs="Kubernetes secrets"),
    "critical/pipeline_with_volume_long_name": failed("createpvc! dummy-task", "IMAGE_NOT_FOUND", container=True, needs="Kubernetes volumes"),
    "cross_loop_after_topology": succeeded("print-op-6 for-loop-10[*2]/print-op-5 for-loop-12[*2]/print-op-8 for-loop-2[*2]/print-op for-loop-6[*2]/print-op-3 for-loop-12[*2]/for-loop-14[*2]/print-op-7 for-loop-6[*2]/for-loop-8[*2]/print-op-4 for-loop-4[*2]/print-op-2"),
    "env-var": succeeded("comp", args={"env_var": "LANG"}, outputs={"Output": re.compile(r'".+"')}),
    "essential/component_with_env_variable": succeeded("read-env-var", outputs={"Output": "env_var_value"}),
    "essential/component_with_pip_install": succeeded("component-with-pip-install"),
    "essential/component_with_pip_install_in_venv": succeeded("component-with-pip-install"),
    "essential/container_no_input": succeeded("container-no-input", container=True),
    "essential/iris_pipeline_compiled": succeeded("create-dataset normalize-dataset train-model"),
    "essential/lightweight_python_functions_pipeline": succeeded("preprocess train", args={"message": "hi"}),
    "essential/pipeline_with_after": succeeded("print-text print-text-2 print-text-3", container=True),
    "essential/pipeline_with_condition": succeeded("flip-coin-op print-op condition-1? condition-1/**?"),
    "essential/pipeline_with_metrics_outputs": succeeded("output-metrics for-loop-2[*2]/output-metrics-2"),
    "essential/pipeline_with_nested_conditions_yaml": succeeded("flip-coin condition-1? condition-1/**? condition-4? condition-4/**?", container=True),
    "essential/pipeline_with_outputs": succeeded("print-op1 inner-pipeline/print-op1 inner-pipeline/print-op2", container=True),
    "essential/pipeline_with_params_containing_format": succeeded("print-op print-op-2 for-loop-2[*2]/print-op2"),
    "essential/pipeline_with_reused_component": succeeded("add-numbers add-numbers-2 add-numbers-3"),
    "failing/pipeline_with_exit_handler": failed("print-op exit-handler-1/fail-op! exit-handler-1/print-op-2", "EXIT_CODE"),
    "identity": succeeded("identity", args={"value": "me"}, outputs={"Output": "me"}),
    "if_elif_else_complex": succeeded("print-ints for-loop-1[*3]/int-0-to-9999 for-loop-1[*2]/condition-2/condition-3- for-loop-1[2]/condition-2/condition-3/print-and-return for-loop-1[*3]/condition-branches-4/**?"),
    "if_elif_else_with_oneof_parameters": succeeded("print-and-return roll-die-pipeline/flip-three-sided-die roll-die-pipeline/condition-branches-1/**?", outputs={"Output": re.compile('"(Got (heads|tails)!|Draw!)"')}),
    "if_else_with_oneof_parameters": succeeded("flip-coin print-and-return-3 condition-branches-1/**?", outputs={"Output": re.compile(_FLIPPED)}),
    "input_artifact": refused("INVALID_ARGUMENTS", needs="an artifact as an argument, which KFP's API cannot give either"),
    "local_execution/local_execution_pipeline_with_oneof": succeeded("tag-selected condition-branches-1/condition-3- condition-branches-1/condition-2/branch-a", outputs={"Output": "selected:A"}),
    "local_execution/pipeline_with_caching": succeeded("add-one", outputs={"Output": 2}),
    "long-running": Expected(state="CANCELED", container=True, needs="ten minutes of sleep: the test ends it"),
    "mounted_cabundle_configmap": succeeded("echo", container=True),
    "mounted_cabundle_secret": succeeded("echo", container=True),
    "nested_return": succeeded("nested-return", outputs={"Output": _LIST_OF_TWO}),
    "notebook_component_mixed": succeeded("preprocess train-model evaluate-model"),
    "output_metrics": succeeded("output-metrics"),
    "parallel_and_nested/nested_parallel_for_secret": succeeded("emit-secret-name for-loop-2[*2]/worker-component"),
    "parallel_and_nested/nested_pipeline_opt_input_child_level_compiled": succeeded("nested-pipeline/component-a-bool nested-pipeline/component-a-int nested-pipeline/component-a-str nested-pipeline/component-b-bool nested-pipeline/component-b-int nested-pipeline/component-b-str"),
    "parallel_and_nested/nested_pipeline_opt_inputs_parent_level_compiled": succeeded("nested-pipeline-nil-defaults/component-nil-bool-default nested-pipeline-nil-defaults/component-nil-int-default nested-pipeline-nil-defaults/component-nil-str-default nested-pipeline-non-nil-defaults/component-bool-default nested-pipeline-non-nil-defaults/component-int-default nested-pipeline-non-nil-defaults/component-str-default"),
    "parallel_and_nested/pipeline_with_loops": succeeded("args-generator-op for-loop-1[*1]/print-text for-loop-4[*2]/print-struct-2 for-loop-4[*2]/print-text-4 for-loop-4[*2]/print-text-5 for-loop-2[*2]/print-struct for-loop-2[*2]/print-text-2 for-loop-2[*2]/print-text-3", args={"loop_parameter": ["one"]}),
    "pipeline_with_google_artifact_type": failed("importer model-producer! model-consumer-", "PACKAGE_NOT_FOUND", needs="a package that no index has"),
    "pipeline_with_importer": failed("importer train! condition-1-", "OBJECT_STORE_NOT_CONFIGURED", needs="a bucket of Google's"),
    "pipeline_with_loops_and_conditions": succeeded("args-generator-op flip-coin-op for-loop-14[0]/condition-15/for-loop-16[*2]/print-text-9 for-loop-14[1]/condition-15- condition-1? condition-1/**?", args={"msg": "hello"}),
    "pipeline_with_metadata_fields": refused("INVALID_ARGUMENTS", needs="an artifact as an argument"),
    "pipeline_with_nested_loops": succeeded("for-loop-4[*2]/print-op-2 for-loop-1[*2]/for-loop-2[*2]/print-op for-loop-4[*2]/for-loop-6[*3]/print-op-3", args={}),
    "pipeline_with_parallelfor_parallelism": succeeded("list-dict-maker-0 list-dict-maker-1 list-dict-maker-1-2 list-dict-maker-2 list-dict-maker-3 for-loop-1[*1]/print-text for-loop-4[*2]/print-text-3 for-loop-4[*2]/print-text-4 for-loop-8[*3]/print-int for-loop-1[*1]/for-loop-2[*1]/print-text-2 for-loop-4[*2]/for-loop-6[*2]/print-text-5 for-loop-4[*2]/for-loop-6[*2]/print-text-6 for-loop-9[*3]/print-int-2 for-loop-10[*3]/print-int-3 for-loop-13[*3]/print-int-6 for-loop-12[*3]/print-int-5 for-loop-11[*3]/print-int-4", args={"loop_parameter": [1]}),
    "pipeline_with_parallelfor_pipeline_param": succeeded("make-prefix for-loop-1[*1]/print-with-prefix for-loop-4[*2]/for-loop-5[*1]/print-with-prefix-3 for-loop-2[*1]/print-with-prefix-2", args={"loop_parameter": [1], "prefix": "heads"}),
    "pipeline_with_secret_as_volume": failed("comp!", "USER_EXCEPTION", needs="Kubernetes secrets"),
    "pipeline_with_string_machine_fields_pipeline_input": failed("sum-numbers!", "DOES_NOT_FIT", needs="a Tesla P4"),
    "pipeline_with_task_final_status": failed("exit-op exit-handler-1/fail-op! exit-handler-1/print-op", "EXIT_CODE"),
    "pipeline_with_task_final_status_yaml": succeeded("exit-op exit-handler-1/print-op", container=True),
    "pipeline_with_various_io_types": refused("INVALID_ARGUMENTS", needs="an artifact as an argument"),
    "preprocess": succeeded("preprocess", args={"message": "hi", "input_dict_parameter": {"a": 1}, "input_list_parameter": [1, 2]}, outputs=_TEXTS),
    "pvc_mount": failed("producer! consumer-", "USER_EXCEPTION", args={"pvc_name": "some"}, needs="Kubernetes volumes"),
    "pythonic_artifacts_with_multiple_returns": succeeded("make-dataset splitter-pipeline/dataset-splitter"),
    "run_as_user_cache_disabled": succeeded("echo", container=True),
    "run_as_user_cache_enabled": succeeded("echo", container=True),
    "take_nap_compiled": succeeded("take-nap wake-up", args={"naptime_secs": 1}),
    "take_nap_pipeline_root_compiled": succeeded("take-nap wake-up", args={"naptime_secs": 1}),
    "two_step_pipeline": failed("write-to-gcs! read-from-gcs-", "IMAGE_NOT_FOUND", container=True, needs="an image of Google's, and a bucket"),
}
