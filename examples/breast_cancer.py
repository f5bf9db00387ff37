"""Diagnose breast cancer: train several models side by side, choose the best, publish it if it is good enough.

The data are the 569 real cases of the Wisconsin Diagnostic Breast Cancer data set, which scikit-learn ships.

    headrace run examples/breast_cancer.py
    headrace run examples/breast_cancer.py --arg threshold=0.999
    headrace run examples/breast_cancer.py --arg settings='[{"n_estimators": 10, "max_depth": 2}]'
"""

from headrace import dsl

# Pinned, so that every run of every machine trains the same models; all of them have wheels for Python 3.11 to 3.14.
PACKAGES = ["scikit-learn==1.7.2", "numpy==2.3.5", "scipy==1.16.3", "joblib==1.5.2"]


@dsl.component(base_image="python:3.11", packages_to_install=PACKAGES)
def load(cases: dsl.Output[dsl.Dataset]) -> int:
    """Writes the cases as CSV: thirty measurements of a tumour, then whether it is benign (1) or malignant (0)."""
    import csv

    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer()
    with open(cases.path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*data.feature_names, "benign"])
        rows.writerows([*features, int(benign)] for features, benign in zip(data.data.tolist(), data.target))
    cases.metadata["rows"] = len(data.target)
    print(f"{len(data.target)} cases, {len(data.feature_names)} measurements each")
    return len(data.target)


@dsl.component(base_image="python:3.11", packages_to_install=PACKAGES)
def split(
    cases: dsl.Input[dsl.Dataset],
    test_share: float,
    seed: int,
    training: dsl.Output[dsl.Dataset],
    testing: dsl.Output[dsl.Dataset],
) -> None:
    """Splits the cases into those to learn from and those to judge by, each with the same share of benign ones."""
    import csv

    from sklearn.model_selection import train_test_split

    with open(cases.path, newline="") as file:
        header, *rows = csv.reader(file)
    parts = train_test_split(rows, test_size=test_share, random_state=seed, stratify=[row[-1] for row in rows])
    for dataset, part in zip((training, testing), parts):
        with open(dataset.path, "w", newline="") as file:
            csv.writer(file).writerows([header, *part])
        dataset.metadata["rows"] = len(part)
        print(f"{dataset.name}: {len(part)} cases")


@dsl.component(base_image="python:3.11", packages_to_install=PACKAGES)
def train(training: dsl.Input[dsl.Dataset], setting: dict[str, int], seed: int, model: dsl.Output[dsl.Model]) -> float:
    """Trains a random forest; its score is the mean area under the ROC curve over five folds of the training data."""
    import joblib
    import numpy as np
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import cross_val_score

    table = np.loadtxt(training.path, delimiter=",", skiprows=1)
    features, benign = table[:, :-1], table[:, -1].astype(int)
    forest = RandomForestClassifier(
        n_estimators=int(setting["n_estimators"]), max_depth=int(setting["max_depth"]), random_state=seed, n_jobs=1
    )
    score = float(cross_val_score(forest, features, benign, cv=5, scoring="roc_auc", n_jobs=1).mean())
    joblib.dump(forest.fit(features, benign), model.path)
    description = f"{forest.n_estimators} trees of depth {forest.max_depth}"
    model.framework = "scikit-learn"
    model.metadata["description"] = description
    model.metadata["score"] = score
    print(f"{description}: area under the ROC curve {score:.5f}")
    return score


@dsl.component(base_image="python:3.11")
def choose(models: dsl.Input[list[dsl.Model]], scores: list[float], best: dsl.Output[dsl.Model]) -> str:
    """Hands on the model with the highest score."""
    import shutil

    descriptions = [str(model.metadata["description"]) for model in models]
    for score, description in sorted(zip(scores, descriptions), reverse=True):
        print(f"{score:.5f}  {description}")
    winner = max(range(len(scores)), key=scores.__getitem__)
    shutil.copyfile(models[winner].path, best.path)
    best.metadata.update(models[winner].metadata)
    return descriptions[winner]


@dsl.component(base_image="python:3.11", packages_to_install=PACKAGES)
def evaluate(
    model: dsl.Input[dsl.Model],
    testing: dsl.Input[dsl.Dataset],
    description: str,
    metrics: dsl.Output[dsl.Metrics],
    classification: dsl.Output[dsl.ClassificationMetrics],
    report: dsl.Output[dsl.HTML],
) -> float:
    """Judges the model by cases it has not seen: numbers, a confusion matrix, a ROC curve, and a report to read."""
    import csv
    import html

    import joblib
    import numpy as np
    from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, roc_auc_score, roc_curve

    forest = joblib.load(model.path)
    with open(testing.path, newline="") as file:
        names = next(csv.reader(file))[:-1]
    table = np.loadtxt(testing.path, delimiter=",", skiprows=1)
    features, benign = table[:, :-1], table[:, -1].astype(int)
    chances = forest.predict_proba(features)[:, 1]
    verdicts = (chances >= 0.5).astype(int)

    numbers = {
        "accuracy": float(accuracy_score(benign, verdicts)),
        "f1": float(f1_score(benign, verdicts)),
        "roc_auc": float(roc_auc_score(benign, chances)),
    }
    for name, value in numbers.items():
        metrics.log_metric(name, value)
        print(f"{name}: {value:.5f}")

    matrix = confusion_matrix(benign, verdicts, labels=[0, 1]).tolist()
    classification.log_confusion_matrix(["malignant", "benign"], matrix)
    fpr, tpr, thresholds = (values.tolist() for values in roc_curve(benign, chances))
    # The curve begins at a threshold of infinity, which JSON cannot say; no chance is above 1.
    classification.log_roc_curve(fpr, tpr, [min(threshold, 1.0) for threshold in thresholds])

    curve = " ".join(f"{20 + 300 * x:.1f},{320 - 300 * y:.1f}" for x, y in zip(fpr, tpr))
    important = sorted(zip(forest.feature_importances_.tolist(), names), reverse=True)[:10]
    bars = "".join(
        f'<text x="168" y="{30 + 30 * i}" text-anchor="end">{html.escape(name)}</text>'
        f'<rect x="175" y="{17 + 30 * i}" width="{240 * weight / important[0][0]:.1f}" height="18" fill="#2b6cb0"/>'
        for i, (weight, name) in enumerate(important)
    )
    rows = "".join(f"<tr><th>{name}<td>{value:.4f}" for name, value in numbers.items())
    with open(report.path, "w", encoding="utf-8") as file:
        file.write(
            f"""<!doctype html>
<meta charset="utf-8">
<title>Breast cancer: {html.escape(description)}</title>
<style>
  body {{ font: 15px system-ui, sans-serif; margin: 2rem; color: #1a202c; background: #fff; }}
  th {{ text-align: left; padding-right: 1.5rem; font-weight: normal; }} td {{ font-weight: 600; }}
  svg {{ font-size: 12px; margin: 1rem 2rem 0 0; vertical-align: top; }}
</style>
<h1>{html.escape(description)}</h1>
<p>Judged by {len(benign)} cases that it had not seen: {matrix[0][1]} malignant ones were taken for benign,
{matrix[1][0]} benign ones for malignant.</p>
<table>{rows}</table>
<svg width="340" height="350" role="img" aria-label="ROC curve">
  <rect x="20" y="20" width="300" height="300" fill="none" stroke="#a0aec0"/>
  <line x1="20" y1="320" x2="320" y2="20" stroke="#cbd5e0" stroke-dasharray="4"/>
  <polyline points="{curve}" fill="none" stroke="#2b6cb0" stroke-width="2.5"/>
  <text x="170" y="342" text-anchor="middle">false positives (ROC curve)</text>
</svg>
<svg width="430" height="350" role="img" aria-label="The ten most important measurements">{bars}</svg>
"""
        )
    return numbers["accuracy"]


@dsl.component(base_image="python:3.11")
def publish(model: dsl.Input[dsl.Model], accuracy: float, published: dsl.Output[dsl.Model]) -> str:
    """Stands for handing the model to those who use it: keeps a copy, named by what is in it."""
    import hashlib
    import shutil

    shutil.copyfile(model.path, published.path)
    with open(published.path, "rb") as file:
        version = hashlib.sha256(file.read()).hexdigest()[:12]
    published.metadata.update({**model.metadata, "accuracy": accuracy, "version": version})
    print(f"published version {version}: {model.metadata.get('description')}, accuracy {accuracy:.4f}")
    return version


@dsl.component(base_image="python:3.11")
def summarise(status: dsl.PipelineTaskFinalStatus, threshold: float, summary: dsl.Output[dsl.Markdown]) -> None:
    """Runs however the rest has ended, and says how."""
    lines = [
        "# Breast cancer",
        "",
        f"- ended: **{status.state}**",
        f"- asked for: an accuracy of at least {threshold}",
    ]
    if status.error_message:
        lines += ["", "```", status.error_message, "```"]
    with open(summary.path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    print("\n".join(lines))


@dsl.pipeline(name="breast-cancer", description="Trains several models, publishes the best one if it is good enough.")
def breast_cancer(
    settings: list[dict[str, int]] = [
        {"n_estimators": 20, "max_depth": 2},
        {"n_estimators": 50, "max_depth": 4},
        {"n_estimators": 100, "max_depth": 8},
    ],
    threshold: float = 0.9,
    test_share: float = 0.25,
    seed: int = 7,
) -> None:
    """Trains several models, publishes the best one if it is good enough.

    Args:
        settings: One model is trained for each.
        threshold: Least accuracy on unseen cases for a model to be published.
        test_share: Share of the cases that are kept to judge by.
        seed: Of all that is random.
    """
    with dsl.ExitHandler(summarise(threshold=threshold), name="always say how it ended"):
        cases = load()
        parts = split(cases=cases.outputs["cases"], test_share=test_share, seed=seed)
        with dsl.ParallelFor(settings, name="each setting") as setting:
            trained = train(training=parts.outputs["training"], setting=setting, seed=seed)
        best = choose(
            models=dsl.Collected(trained.outputs["model"]),
            scores=dsl.Collected(trained.outputs["Output"]),
        )
        judged = evaluate(
            model=best.outputs["best"], testing=parts.outputs["testing"], description=best.outputs["Output"]
        )
        with dsl.If(judged.outputs["Output"] >= threshold, name="good enough"):
            publish(model=best.outputs["best"], accuracy=judged.outputs["Output"])
