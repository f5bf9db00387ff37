"""The artifact classes: the objects of user code in a running task, and the names of types in the document.

Inside a task the user's own Python loads this file, which may be 3.9. It imports little, because it delays every task.
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


#: Set by the runtime before user code runs: URI of a file or folder in an object store -> its path on this machine.
MIRRORS: dict[str, str] = {}
#: URI of content that is not on this machine -> why (code, sentence), for the error of a task that reads it.
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
    """A file or a folder that a task reads or writes, with a name, a URI and metadata.

    In a component, annotate a parameter with `dsl.Input[dsl.Artifact]` or `dsl.Output[dsl.Artifact]` (or with one of
    the more exact classes: `Dataset`, `Model`, ...) and read or write the file or folder at `.path`.

    Args:
        name: The artifact's name. Default: an empty text.
        uri: Where the content is stored: a path, or a URI such as `s3://bucket/key`. Default: an empty text.
        metadata: Values that are stored with the artifact and shown in the UI; they must be JSON. Default: none.

    Example:
        >>> from headrace import dsl
        >>> @dsl.component
        ... def count_rows(data: dsl.Input[dsl.Dataset], report: dsl.Output[dsl.Markdown]):
        ...     with open(data.path) as file:
        ...         rows = len(file.readlines())
        ...     with open(report.path, "w") as file:
        ...         file.write(f"{rows} rows")
        ...     report.metadata["rows"] = rows
    """

    schema_title: ClassVar[str] = "system.Artifact"
    schema_version: ClassVar[str] = "0.0.1"

    def __init__(self, name: str | None = None, uri: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        self.uri = uri or ""
        self.name = name or ""
        self.metadata: dict[str, Any] = metadata or {}
        self._custom_path = ""

    @property
    def path(self) -> str:
        """The path of the content on the machine of the task.

        For an output nothing is there yet: write a file, or make a folder, at this path. Setting it changes `uri`.
        """
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
        """A path that is used instead of the path that follows from the URI; an empty text when there is none."""
        return self._custom_path

    @custom_path.setter
    def custom_path(self, value: str) -> None:
        self._custom_path = value

    def set_path(self, path: str) -> None:
        """Use this path instead of the one that follows from the URI. The URI stays as it is.

        Args:
            path: A path on the machine of the task.
        """
        self._custom_path = path


class Model(Artifact):
    """A machine-learning model. See `Artifact` for what it has.

    Args:
        name: The artifact's name. Default: an empty text.
        uri: Where the content is stored. For `oci://` images, `.path` is the folder `models` of the image. Default: an
            empty text.
        metadata: Values that are stored with the artifact; they must be JSON. Default: none.
    """

    schema_title = "system.Model"

    @property
    def framework(self) -> str:
        """The framework the model was made with, such as `scikit-learn`; it is kept in `metadata["framework"]`."""
        return str(self.metadata.get("framework", ""))

    @framework.setter
    def framework(self, framework: str) -> None:
        self.metadata["framework"] = framework

    def _get_path(self) -> str:
        # An image with a model inside (KServe's "modelcar") keeps the files in this folder.
        return super()._get_path() + (_MODELCAR_DIR if self.uri.startswith(_OCI_URI) else "")


class Dataset(Artifact):
    """Data to train or evaluate on. See `Artifact` for what it has.

    Args:
        name: The artifact's name. Default: an empty text.
        uri: Where the content is stored. Default: an empty text.
        metadata: Values that are stored with the artifact; they must be JSON. Default: none.
    """

    schema_title = "system.Dataset"


class Metrics(Artifact):
    """Named numbers, such as an accuracy. They are kept in `metadata`; the artifact needs no file.

    Args:
        name: The artifact's name. Default: an empty text.
        uri: Where the content is stored. Default: an empty text.
        metadata: The numbers by name. Default: none.
    """

    schema_title = "system.Metrics"

    def log_metric(self, metric: str, value: float) -> None:
        """Record one number. A number that was recorded under this name before is replaced.

        Args:
            metric: The number's name, as the UI shows it.
            value: The number.

        Example:
            >>> from headrace import dsl
            >>> metrics = dsl.Metrics()
            >>> metrics.log_metric("accuracy", 0.93)
            >>> metrics.metadata
            {'accuracy': 0.93}
        """
        self.metadata[metric] = value


class ClassificationMetrics(Artifact):
    """A ROC curve and a confusion matrix of one classifier, which the UI draws. They are kept in `metadata`.

    Args:
        name: The artifact's name. Default: an empty text.
        uri: Where the content is stored. Default: an empty text.
        metadata: Metrics that were recorded before. Default: none.
    """

    schema_title = "system.ClassificationMetrics"

    def log_roc_data_point(self, fpr: float, tpr: float, threshold: float) -> None:
        """Add one point to the ROC curve.

        Args:
            fpr: False positive rate, from 0 to 1.
            tpr: True positive rate (recall), from 0 to 1.
            threshold: The classifier's threshold for which the two rates hold.
        """
        reading = {"confidenceThreshold": threshold, "recall": tpr, "falsePositiveRate": fpr}
        self.metadata.setdefault("confidenceMetrics", []).append(reading)

    def log_roc_curve(self, fpr: list[float], tpr: list[float], threshold: list[float]) -> None:
        """Add many points to the ROC curve, for instance the three lists that scikit-learn's `roc_curve` returns.

        scikit-learn's first threshold is infinite, which JSON cannot hold: replace it by a number before.

        Args:
            fpr: False positive rates, from 0 to 1.
            tpr: True positive rates, from 0 to 1, as many as `fpr`.
            threshold: Thresholds, as many as `fpr`.

        Raises:
            DslValueError: The lists have different lengths (`ROC_LENGTHS_DIFFER`).

        Example:
            >>> from headrace import dsl
            >>> metrics = dsl.ClassificationMetrics()
            >>> metrics.log_roc_curve(fpr=[0.0, 0.5, 1.0], tpr=[0.0, 0.9, 1.0], threshold=[1.0, 0.5, 0.0])
            >>> len(metrics.metadata["confidenceMetrics"])
            3
        """
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
        """Name the classes of the confusion matrix and set all its cells to 0.

        Args:
            categories: The names of the classes, in the order of rows and columns.
        """
        self.metadata["confusionMatrix"] = {
            "annotationSpecs": [{"displayName": category} for category in categories],
            "rows": [{"row": [0] * len(categories)} for _ in categories],
        }

    def log_confusion_matrix_row(self, row_category: str, row: list[float]) -> None:
        """Replace one row of the confusion matrix. Call `set_confusion_matrix_categories` before.

        Args:
            row_category: The true class, whose row it is.
            row: How often each class was predicted for it, in the order of the categories.

        Raises:
                DslValueError: The row has another length than the categories (`MATRIX_ROW_LENGTH`), or the
                category is unknown (`UNKNOWN_CATEGORY`).
        """
        position = self._position(row_category)
        if len(row) != len(self._categories):
            raise _refused(
                f"Invalid row. Expected size: {len(self._categories)} got: {len(row)}", code="MATRIX_ROW_LENGTH"
            )
        self._matrix["rows"][position] = {"row": row}

    def log_confusion_matrix_cell(self, row_category: str, col_category: str, value: int) -> None:
        """Replace one cell of the confusion matrix. Call `set_confusion_matrix_categories` before.

        Args:
            row_category: The true class.
            col_category: The predicted class.
            value: How often the true class was predicted as the other.

        Raises:
            DslValueError: A category is unknown (`UNKNOWN_CATEGORY`).
        """
        row, column = self._position(row_category), self._position(col_category)
        self._matrix["rows"][row]["row"][column] = value

    def log_confusion_matrix(self, categories: list[str], matrix: list[list[int]]) -> None:
        """Record a whole confusion matrix.

        Args:
            categories: The names of the classes, in the order of rows and columns.
            matrix: One row for each true class; in it, how often each class was predicted.

        Raises:
            DslValueError: The matrix is not square, or has another size than the categories (`MATRIX_NOT_SQUARE`).

        Example:
            >>> from headrace import dsl
            >>> metrics = dsl.ClassificationMetrics()
            >>> metrics.log_confusion_matrix(["cat", "dog"], [[9, 1], [2, 8]])
            >>> metrics.metadata["confusionMatrix"]["rows"]
            [{'row': [9, 1]}, {'row': [2, 8]}]
        """
        if len(matrix) != len(categories) or any(len(row) != len(categories) for row in matrix):
            raise _refused(f"Invalid matrix: {matrix} passed for categories: {categories}", code="MATRIX_NOT_SQUARE")
        self.set_confusion_matrix_categories(categories)
        for category, row in zip(categories, matrix):  # noqa: B905
            self.log_confusion_matrix_row(category, list(row))


class SlicedClassificationMetrics(Artifact):
    """Classification metrics, one set for each slice of the data. They are kept in `metadata`.

    Args:
        name: The artifact's name. Default: an empty text.
        uri: Where the content is stored. Default: an empty text.
        metadata: Metrics that were recorded before. Default: none.
    """

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
        """Add one point to the ROC curve of a slice.

        Args:
            slice: The slice's name. A name that was not used before begins a new slice.
            threshold: The classifier's threshold for which the two rates hold.
            tpr: True positive rate, from 0 to 1.
            fpr: False positive rate, from 0 to 1.
        """
        metrics = self._slice(slice)
        metrics.log_roc_data_point(fpr=fpr, tpr=tpr, threshold=threshold)
        self._update(slice, metrics)

    def load_roc_readings(self, slice: str, readings: list[list[float]]) -> None:
        """Add many points to the ROC curve of a slice.

        Args:
            slice: The slice's name. A name that was not used before begins a new slice.
            readings: Points, each of them `[threshold, true positive rate, false positive rate]`.
        """
        for threshold, tpr, fpr in readings:
            self.log_roc_reading(slice, threshold, tpr, fpr)

    def set_confusion_matrix_categories(self, slice: str, categories: list[str]) -> None:
        """Name the classes of a slice's confusion matrix and set all its cells to 0.

        Args:
            slice: The slice's name. A name that was not used before begins a new slice.
            categories: The names of the classes, in the order of rows and columns.
        """
        metrics = self._slice(slice)
        metrics.set_confusion_matrix_categories(categories)
        self._update(slice, metrics)

    def log_confusion_matrix_row(self, slice: str, row_category: str, row: list[float]) -> None:
        """Replace one row of a slice's confusion matrix. Call `set_confusion_matrix_categories` before.

        Args:
            slice: The slice's name.
            row_category: The true class, whose row it is.
            row: How often each class was predicted for it, in the order of the categories.

        Raises:
                DslValueError: The row has another length than the categories (`MATRIX_ROW_LENGTH`), or the
                category is unknown (`UNKNOWN_CATEGORY`).
        """
        metrics = self._slice(slice)
        metrics.log_confusion_matrix_row(row_category, row)
        self._update(slice, metrics)

    def log_confusion_matrix_cell(self, slice: str, row_category: str, col_category: str, value: int) -> None:
        """Replace one cell of a slice's confusion matrix. Call `set_confusion_matrix_categories` before.

        Args:
            slice: The slice's name.
            row_category: The true class.
            col_category: The predicted class.
            value: How often the true class was predicted as the other.

        Raises:
            DslValueError: A category is unknown (`UNKNOWN_CATEGORY`).
        """
        metrics = self._slice(slice)
        metrics.log_confusion_matrix_cell(row_category, col_category, value)
        self._update(slice, metrics)

    def load_confusion_matrix(self, slice: str, categories: list[str], matrix: list[list[int]]) -> None:
        """Record the whole confusion matrix of a slice.

        Args:
            slice: The slice's name. A name that was not used before begins a new slice.
            categories: The names of the classes, in the order of rows and columns.
            matrix: One row for each true class; in it, how often each class was predicted.

        Raises:
            DslValueError: The matrix is not square, or has another size than the categories (`MATRIX_NOT_SQUARE`).
        """
        metrics = self._slice(slice)
        metrics.log_confusion_matrix(categories, matrix)
        self._update(slice, metrics)


class HTML(Artifact):
    """A page that the UI shows in a frame of its own. Write it to `.path`.

    Args:
        name: The artifact's name. Default: an empty text.
        uri: Where the content is stored. Default: an empty text.
        metadata: Values that are stored with the artifact; they must be JSON. Default: none.
    """

    schema_title = "system.HTML"


class Markdown(Artifact):
    """A Markdown text that the UI shows. Write it to `.path`.

    Args:
        name: The artifact's name. Default: an empty text.
        uri: Where the content is stored. Default: an empty text.
        metadata: Values that are stored with the artifact; they must be JSON. Default: none.
    """

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
    """The storage URI of the running task, with a suffix: a place for a file that is not a declared output.

    Call it in a component's function only.

    Args:
        suffix: The last part of the URI. Default: `Output`.

    Returns:
        The URI; an empty text, with a warning, where the backend does not say what the task's URI is.

    Raises:
        DslRuntimeError: No task is running (`NOT_IN_A_TASK`).
    """
    if CONTAINER_TASK_ROOT is None:
        from headrace.dsl.errors import DslRuntimeError

        raise DslRuntimeError("dsl.get_uri can only be called while a task runs.", code="NOT_IN_A_TASK")
    if CONTAINER_TASK_ROOT == _ROOT_WITHOUT_URI:
        warnings.warn("This backend does not tell tasks their URI; give one explicitly.", RuntimeWarning, stacklevel=2)
        return ""
    return os.path.join(convert_local_path_to_remote_path(CONTAINER_TASK_ROOT), suffix)  # noqa: PTH118
