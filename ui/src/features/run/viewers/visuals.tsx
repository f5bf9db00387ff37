import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense, useState } from "react";
import { artifactTextQuery, contentLinkQuery } from "@/api/artifacts";
import type { ArtifactView } from "@/api/types";
import { Section } from "@/components/section";
import { formatBytes } from "@/lib/bytes";
import { Classification } from "./classification";
import { formatNumber, metricsOf, slicesOf } from "./model";
import styles from "./visuals.module.css";

const Markdown = lazy(() => import("./markdown"));
const MAX_MARKDOWN_BYTES = 1_000_000;

/** A task's output artifacts that have a viewer. */
export default function Visuals({ artifacts }: { readonly artifacts: readonly ArtifactView[] }) {
  return artifacts.map((artifact) => (
    <Section key={artifact.artifact_id} title={artifact.name}>
      <Visual artifact={artifact} />
    </Section>
  ));
}

function Visual({ artifact }: { readonly artifact: ArtifactView }) {
  switch (artifact.type) {
    case "system.Metrics":
      return <Metrics artifact={artifact} />;
    case "system.ClassificationMetrics":
      return <Classification metadata={artifact.metadata} />;
    case "system.SlicedClassificationMetrics":
      return <Slices artifact={artifact} />;
    case "system.HTML":
      return <Page artifact={artifact} />;
    default:
      return <Text artifact={artifact} />;
  }
}

function Metrics({ artifact }: { readonly artifact: ArtifactView }) {
  const metrics = metricsOf(artifact);
  if (metrics.length === 0) return <p className={styles.dim}>This task logged no metrics.</p>;
  return (
    <table className={styles.metrics}>
      <tbody>
        {metrics.map(([name, value]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{typeof value === "number" ? formatNumber(value) : value}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Slices({ artifact }: { readonly artifact: ArtifactView }) {
  const slices = slicesOf(artifact.metadata);
  const [at, setAt] = useState(0);
  const slice = slices[at];
  if (slice === undefined) return <p className={styles.dim}>This task logged no slices.</p>;
  return (
    <>
      <select
        aria-label="Slice"
        className={styles.select}
        value={at}
        onChange={(event) => setAt(Number(event.target.value))}
      >
        {slices.map((each, index) => (
          <option key={each.name} value={index}>
            {each.name}
          </option>
        ))}
      </select>
      <Classification metadata={slice.metadata} />
    </>
  );
}

/** An HTML page that a task wrote: shown in a frame of another origin, without cookies and without access to this page. */
function Page({ artifact }: { readonly artifact: ArtifactView }) {
  const link = useQuery(contentLinkQuery(artifact.artifact_id));
  const [tall, setTall] = useState(false);
  if (link.error) return <p role="alert">{link.error.message}</p>;
  if (!link.data) return <p className={styles.dim}>Loading…</p>;
  return (
    <>
      <iframe
        className={styles.frame}
        data-tall={tall}
        title={artifact.name}
        src={link.data.url}
        sandbox="allow-scripts"
        referrerPolicy="no-referrer"
        allow=""
      />
      <button type="button" className={styles.more} onClick={() => setTall(!tall)}>
        {tall ? "Make smaller" : "Make larger"}
      </button>
    </>
  );
}

function Text({ artifact }: { readonly artifact: ArtifactView }) {
  const small = artifact.size_bytes <= MAX_MARKDOWN_BYTES;
  const text = useQuery({ ...artifactTextQuery(artifact.artifact_id), enabled: small });
  if (!small)
    return (
      <p className={styles.dim}>
        {formatBytes(artifact.size_bytes)}: too large to show here. Download it in the Inputs & outputs tab.
      </p>
    );
  if (text.error) return <p role="alert">{text.error.message}</p>;
  return (
    <Suspense fallback={<p className={styles.dim}>Loading…</p>}>
      {text.data === undefined ? <p className={styles.dim}>Loading…</p> : <Markdown source={text.data} />}
    </Suspense>
  );
}
