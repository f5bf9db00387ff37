import { queryOptions } from "@tanstack/react-query";
import { getJson, send, urlOf } from "./client";
import type { ExecutionDetail } from "./types";

/** `revision` is a text that changes whenever the execution does, so that every change loads it again. */
export function executionQuery(executionId: string, revision: string) {
  return queryOptions<ExecutionDetail, Error, ExecutionDetail, readonly string[]>({
    queryKey: ["execution", executionId, revision],
    queryFn: ({ signal }) =>
      getJson<ExecutionDetail>(`/api/executions/${encodeURIComponent(executionId)}`, {}, signal),
    staleTime: Number.POSITIVE_INFINITY,
    placeholderData: (previous: ExecutionDetail | undefined) =>
      previous?.execution.execution_id === executionId ? previous : undefined,
  });
}

export interface LogRange {
  readonly bytes: Uint8Array;
  /** The byte of the log after this part. */
  readonly end: number;
  /** Bytes in the whole log when the server answered. */
  readonly size: number;
}

/** At most `limit` bytes of a log from byte `offset`. A negative offset counts from the end. */
export async function readLog(
  executionId: string,
  attempt: number,
  offset: number,
  limit: number,
  signal?: AbortSignal,
): Promise<LogRange> {
  const response = await send(logUrl(executionId, attempt, { offset, limit }), { signal: signal ?? null });
  const bytes = new Uint8Array(await response.arrayBuffer());
  return {
    bytes,
    end: Number(response.headers.get("X-Log-Offset") ?? 0),
    size: Number(response.headers.get("X-Log-Size") ?? 0),
  };
}

/** Saves the first `size` bytes of a log as a file. A plain link could not say whose session this is. */
export async function downloadLog(
  executionId: string,
  attempt: number,
  size: number,
  name: string,
): Promise<void> {
  const response = await send(logUrl(executionId, attempt, { limit: size }));
  const url = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The browser reads the file after this function has returned.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

function logUrl(
  executionId: string,
  attempt: number,
  range: { offset?: number; limit?: number } = {},
): string {
  return urlOf(`/api/executions/${encodeURIComponent(executionId)}/logs`, { attempt, ...range });
}

export function logStreamUrl(executionId: string, attempt: number, offset: number): string {
  return urlOf(`/api/executions/${encodeURIComponent(executionId)}/logs/stream`, { attempt, offset });
}
