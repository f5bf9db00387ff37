"""The artifact classes: what user code holds while a task runs, and the names types have in the document.

Inside a task this is loaded by the user's own Python, which may be 3.9, and whose start it delays.
"""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.dsl.constants import WORKSPACE_MOUNT_PATH

if TYPE_CHECKING:
    from headrace.dsl.errors import DslValueError

_MOUNTS = {"gs://": "/gcs/", "minio://": "/minio/", "s3://": "/s3/"}
_OCI_URI, _OCI_MOUNT = "oci://", "/oci/"
_MODELCAR_DIR = "/models"


#: Set by the runtime before user code runs: URI of a file or folder in an object store -> its place on this machine.
MIRRORS: dict[str, str] = {}
#: The same for content that is not on this machine: why (code, sentence), for who tries to read it all the same.
ELSEWHERE: dict[str, tuple[str, str]] = {}


def _mounted(uri: str) -> str:
    for known, place in MIRRORS.items():
        if uri == known or uri.startswith(known + "/"):
            return place + uri[len(known) :]
    for scheme, mount in _MOUNTS.items():
        if uri.startswith(scheme):
            return mount + uri[len(scheme) :]
    if uri.startswith(_OCI_URI):
        return _OCI_MOUNT + uri[len(_OCI_URI) :].replace("/", "_")
    return uri


def why_elsewhere(path: str) -> tuple[str, str] | None:
    """Why there is nothing at this path, if it is that of an artifact whose content is not on this machine."""
    return next((why for uri, why in ELSEWHERE.items() if path.startswith(_mounted(uri))), None)


def convert_local_path_to_remote_path(path: str) -> str:
    """The URI that a mounted path stands for."""
    for known, place in MIRRORS.items():
        if path == place or path.startswith(place + "/"):
            return known + path[len(place) :]
    for scheme, mount in _MOUNTS.items():
        if path.startswith(mount):
            return scheme + path[len(mount) :]
    if path.startswith(_OCI_MOUNT):
        return _OCI_URI + path[len(_OCI_MOUNT) :].replace("_", "/").removesuffix(_MODELCAR_DIR)
    return path


def _refused(message: str, *, code: str, hint: str = "") -> DslValueError:
    from headrace.dsl.errors import DslValueError

    return DslValueError(message, code=code, hint=hint)


class Artifact:
    """A file or folder a task reads or writes, with a name, a URI and metadata."""

    schema_title: ClassVar[str] = "system.Artifact"
    schema_version: ClassVar[str] = "0.0.1"

    def __init__(self, name: str | None = None, uri: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        self.uri = uri or ""
        self.name = name or ""
        self.metadata: dict[str, Any] = metadata or {}
        self._custom_path = ""

    @property
    def path(self) -> str:
        """Where the content is on this machine."""
        return self._get_path()

    @path.setter
    def path(self, path: str) -> None:
        self._set_path(path)

    def _get_path(self) -> str:
        local = self._custom_path or _mounted(self.uri)
        if self.metadata.get("_kfp_workspace") is True:
            return os.path.join(WORKSPACE_MOUNT_PATH, ".artifacts", local.lstrip("/"))  # noqa: PTH118
        return local

    def _set_path(self, path: str) -> None:
        self.uri = convert_local_path_to_remote_path(path)

    @property
    def custom_path(self) -> str:
        """A path that overrides the one the URI stands for."""
        return self._custom_path

    @custom_path.setter
    def custom_path(self, value: str) -> None:
        self._custom_path = value

    def set_path(self, path: str) -> None:
        self._custom_path = path


class Model(Artifact):
    """A machine-learning model."""

    schema_title = "system.Model"

    @property
    def framework(self) -> str:
        return str(self.metadata.get("framework", ""))

    @framework.setter
    def framework(self, framework: str) -> None:
        self.metadata["framework"] = framework

    def _get_path(self) -> str:
        # An image with a model inside (KServe's "modelcar") keeps the files in this folder.
        return super()._get_path() + (_MODELCAR_DIR if self.uri.startswith(_OCI_URI) else "")


class Dataset(Artifact):
    """Data to train or evaluate on."""

    schema_title = "system.Dataset"


class Metrics(Artifact):
    """Named numbers."""

    schema_title = "system.Metrics"

    def log_metric(self, metric: str, value: float) -> None:
        self.metadata[metric] = value


class ClassificationMetrics(Artifact):
    """A ROC curve and a confusion matrix."""

    schema_title = "system.ClassificationMetrics"

    def log_roc_data_point(self, fpr: float, tpr: float, threshold: float) -> None:
        reading = {"confidenceThreshold": threshold, "recall": tpr, "falsePositiveRate": fpr}
        self.metadata.setdefault("confidenceMetrics", []).append(reading)

    def log_roc_curve(self, fpr: list[float], tpr: list[float], threshold: list[float]) -> None:
        if not len(fpr) == len(tpr) == len(threshold):
            raise _refused(
                "Length of fpr, tpr and threshold must be the same. "
                f"Got lengths {len(fpr)}, {len(tpr)} and {len(threshold)} respectively.",
                code="ROC_LENGTHS_DIFFER",
            )
        for point in zip(fpr, tpr, threshold):  # noqa: B905
            self.log_roc_data_point(*point)

    @property
    def _matrix(self) -> dict[str, Any]:
        matrix: dict[str, Any] = self.metadata.setdefault("confusionMatrix", {"annotationSpecs": [], "rows": []})
        return matrix

    @property
    def _categories(self) -> list[str]:
        return [spec["displayName"] for spec in self._matrix["annotationSpecs"]]

    def _position(self, category: str) -> int:
        categories = self._categories
        if category not in categories:
            raise _refused(
                f"Invalid category: {category} passed. Expected one of: {categories}",
                code="UNKNOWN_CATEGORY",
                hint="call set_confusion_matrix_categories([...]) first.",
            )
        return categories.index(category)

    def set_confusion_matrix_categories(self, categories: list[str]) -> None:
        self.metadata["confusionMatrix"] = {
            "annotationSpecs": [{"displayName": category} for category in categories],
            "rows": [{"row": [0] * len(categories)} for _ in categories],
        }

    def log_confusion_matrix_row(self, row_category: str, row: list[float]) -> None:
        position = self._position(row_category)
        if len(row) != len(self._categories):
            raise _refused(
                f"Invalid row. Expected size: {len(self._categories)} got: {len(row)}", code="MATRIX_ROW_LENGTH"
            )
        self._matrix["rows"][position] = {"row": row}

    def log_confusion_matrix_cell(self, row_category: str, col_category: str, value: int) -> None:
        row, column = self._position(row_category), self._position(col_category)
        self._matrix["rows"][row]["row"][column] = value

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        if len(matrix) != len(categories) or any(len(row) != len(categories) for row in matrix):
            raise _refused(f"Invalid matrix: {matrix} passed for categories: {categories}", code="MATRIX_NOT_SQUARE")
        self.set_confusion_matrix_categories(categories)
        for category, row in zip(categories, matrix):  # noqa: B905
            self.log_confusion_matrix_row(category, list(row))


class SlicedClassificationMetrics(Artifact):
    """Classification metrics, one set for each slice of the data."""

    schema_title = "system.SlicedClassificationMetrics"

    def _slice(self, name: str) -> ClassificationMetrics:
        slices: list[dict[str, Any]] = self.metadata.setdefault("evaluationSlices", [])
        for entry in slices:
            if entry["slice"] == name:
                return ClassificationMetrics(metadata=entry["sliceClassificationMetrics"])
        metrics = ClassificationMetrics()
        slices.append({"slice": name, "sliceClassificationMetrics": metrics.metadata})
        return metrics

    def _update(self, name: str, metrics: ClassificationMetrics) -> None:
        for entry in self.metadata["evaluationSlices"]:
            if entry["slice"] == name:
                entry["sliceClassificationMetrics"] = metrics.metadata

    def log_roc_reading(self, slice: str, threshold: float, tpr: float, fpr: float) -> None:
        metrics = self._slice(slice)
        metrics.log_roc_data_point(fpr=fpr, tpr=tpr, threshold=threshold)
        self._update(slice, metrics)

    def load_roc_readings(self, slice: str, readings: list[list[float]]) -> None:
        """Each reading is (threshold, true positive rate, false positive rate)."""
        for threshold, tpr, fpr in readings:
            self.log_roc_reading(slice, threshold, tpr, fpr)

    def set_confusion_matrix_categories(self, slice: str, categories: list[str]) -> None:
        metrics = self._slice(slice)
        metrics.set_confusion_matrix_categories(categories)
        self._update(slice, metrics)

    def log_confusion_matrix_row(self, slice: str, row_category: str, row: list[float]) -> None:
        metrics = self._slice(slice)
        metrics.log_confusion_matrix_row(row_category, row)
        self._update(slice, metrics)

    def log_confusion_matrix_cell(self, slice: str, row_category: str, col_category: str, value: int) -> None:
        metrics = self._slice(slice)
        metrics.log_confusion_matrix_cell(row_category, col_category, value)
        self._update(slice, metrics)

    def load_confusion_matrix(self, slice: str, categories: list[str], matrix: list[list[int]]) -> None:
        metrics = self._slice(slice)
        metrics.log_confusion_matrix(categories, matrix)
        self._update(slice, metrics)


class HTML(Artifact):
    """A page to look at."""

    schema_title = "system.HTML"


class Markdown(Artifact):
    """A text to look at."""

    schema_title = "system.Markdown"


BUILT_IN: tuple[type[Artifact], ...] = (
    Artifact,
    Model,
    Dataset,
    Metrics,
    ClassificationMetrics,
    SlicedClassificationMetrics,
    HTML,
    Markdown,
)

#: Set by the runtime before user code runs: the folder of the task.
CONTAINER_TASK_ROOT: str | None = None
_ROOT_WITHOUT_URI = "/tmp/kfp_outputs"  # noqa: S108 (the text Kubeflow's launcher uses)


def get_uri(suffix: str = "Output") -> str:
    """The storage URI of the running task, with a suffix; empty where the backend does not tell."""
    if CONTAINER_TASK_ROOT is None:
        from headrace.dsl.errors import DslRuntimeError

        raise DslRuntimeError("dsl.get_uri can only be called while a task runs.", code="NOT_IN_A_TASK")
    if CONTAINER_TASK_ROOT == _ROOT_WITHOUT_URI:
        warnings.warn("This backend does not tell tasks their URI; give one explicitly.", RuntimeWarning, stacklevel=2)
        return ""
    return os.path.join(convert_local_path_to_remote_path(CONTAINER_TASK_ROOT), suffix)  # noqa: PTH118
