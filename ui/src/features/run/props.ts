import type { RunView } from "@/api/types";
import type { Plan, RunIndex } from "@/graph/model";
import type { Selection } from "./model";
import type { RunSearch } from "./search";

/** Props that all parts of a run's page get. */
export interface RunPageProps {
  readonly view: RunView;
  readonly plan: Plan;
  readonly index: RunIndex;
  readonly selection: Selection | null;
  readonly search: RunSearch;
  readonly change: (next: { readonly [K in keyof RunSearch]?: RunSearch[K] | undefined }) => void;
  readonly now: number;
}
