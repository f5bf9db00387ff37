import type { RunView } from "@/api/types";
import { PropertyList, Section } from "@/components/section";
import { formatExact } from "@/lib/time";
import { BundleList } from "./bundle";
import styles from "./details.module.css";

export function Details({ view }: { readonly view: RunView }) {
  const { run } = view;
  return (
    <div className={styles.details}>
      <Section title="Parameters">
        <BundleList
          bundle={{ parameters: view.parameters, artifacts: {} }}
          none="This pipeline takes no parameters."
        />
      </Section>
      <Section title="Outputs">
        <BundleList
          bundle={view.outputs}
          none={
            run.state === "SUCCEEDED"
              ? "This pipeline has no outputs of its own."
              : "Outputs appear when the run succeeds."
          }
        />
      </Section>
      <Section title="Run">
        <PropertyList
          properties={[
            ["Run ID", <code key="id">{run.run_id}</code>],
            ["Pipeline", run.pipeline_name],
            ["Experiment", run.experiment_name],
            ["Created", formatExact(run.created_at)],
            ["Started", formatExact(run.started_at)],
            ["Finished", formatExact(run.finished_at)],
          ]}
        />
      </Section>
    </div>
  );
}
