/** Short names for the API's types. `schema.ts` is generated from `openapi.json`. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type SessionView = Schemas["SessionView"];
export type BrowserSessionList = Schemas["BrowserSessionList"];
export type SignedOut = Schemas["SignedOut"];
export type RunSummary = Schemas["RunSummary"];
export type RunList = Schemas["RunList"];
export type RunView = Schemas["RunView"];
export type ExecutionPage = Schemas["ExecutionPage"];
export type GraphNode = Schemas["GraphNode"];
export type ExecutionView = Schemas["ExecutionView"];
export type ExecutionDetail = Schemas["ExecutionDetail"];
export type AttemptView = Schemas["AttemptView"];
export type ReasonView = Schemas["ReasonView"];
export type ArtifactView = Schemas["ArtifactView"];
export type BundleView = Schemas["BundleView"];
export type RunChange = Schemas["RunChange"];
export type ListChange = Schemas["ListChange"];
export type LogChunk = Schemas["LogChunk"];
export type ContentLink = Schemas["ContentLink"];
export type MarkView = Schemas["MarkView"];
export type DocumentView = Schemas["DocumentView"];
export type RerunRun = Schemas["RerunRun"];
export type MarkExecution = Schemas["MarkExecution"];
export type ErrorBody = Schemas["ErrorBody"];
export type Explanation = Schemas["Explanation"];
export type RunExplanation = Schemas["RunExplanation"];
export type FailureView = Schemas["FailureView"];
export type CacheUse = Schemas["CacheUse"];
export type TaskRef = Schemas["TaskRef"];
export type CodePage = Schemas["CodePage"];
