import { useMutation } from "@tanstack/react-query";
import { contentLink } from "@/api/artifacts";
import type { ArtifactView, BundleView } from "@/api/types";
import { Button } from "@/components/button";
import { Value } from "@/components/value";
import { formatBytes } from "@/lib/bytes";
import styles from "./bundle.module.css";

/** The parameters and artifacts of a task's inputs or outputs, or of a run's. */
export function BundleList({ bundle, none }: { readonly bundle: BundleView; readonly none: string }) {
  const parameters = Object.entries(bundle.parameters);
  const artifacts = Object.entries(bundle.artifacts);
  if (parameters.length === 0 && artifacts.length === 0) return <p className={styles.none}>{none}</p>;
  return (
    <div className={styles.list}>
      {parameters.map(([name, value]) => (
        <div key={name} className={styles.row}>
          <span className={styles.name}>{name}</span>
          <Value value={value} />
        </div>
      ))}
      {artifacts.map(([name, list]) => (
        <div key={name} className={styles.row}>
          <span className={styles.name}>{name}</span>
          <div className={styles.artifacts}>
            {list.map((artifact) => (
              <Artifact key={artifact.artifact_id} artifact={artifact} />
            ))}
            {list.length === 0 && <span className={styles.none}>Empty list</span>}
          </div>
        </div>
      ))}
    </div>
  );
}

function Artifact({ artifact }: { readonly artifact: ArtifactView }) {
  const download = useMutation({
    mutationFn: () => contentLink(artifact.artifact_id, true),
    onSuccess: (link) => {
      // The content origin sends the file as an attachment, so the browser stays on this page.
      window.location.assign(link.url);
    },
  });
  const metadata = Object.entries(artifact.metadata).filter(([key]) => key !== "display_name");
  return (
    <div className={styles.artifact}>
      <div className={styles.line}>
        <span className={styles.type}>{artifact.type.replace(/^system\./, "")}</span>
        <span className={styles.size}>
          {artifact.is_directory
            ? "folder"
            : artifact.size_bytes > 0
              ? formatBytes(artifact.size_bytes)
              : artifact.not_written === ""
                ? "metadata only"
                : "never written"}
        </span>
        {!artifact.is_directory && artifact.size_bytes > 0 && (
          <Button
            variant="quiet"
            icon="download"
            disabled={download.isPending}
            aria-label={`Download ${artifact.name}`}
            title="Download"
            onClick={() => download.mutate()}
          />
        )}
      </div>
      {artifact.not_written !== "" && <p role="note">{artifact.not_written}</p>}
      <code className={styles.uri}>{artifact.uri}</code>
      {download.error && <p role="alert">{download.error.message}</p>}
      {metadata.length > 0 && (
        <details className={styles.metadata}>
          <summary>Metadata ({metadata.length})</summary>
          {metadata.map(([key, value]) => (
            <div key={key} className={styles.row}>
              <span className={styles.name}>{key}</span>
              <Value value={value} />
            </div>
          ))}
        </details>
      )}
    </div>
  );
}
