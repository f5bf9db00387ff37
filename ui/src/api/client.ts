/** All HTTP requests of the UI go through this file. */
import { sessionHeaders } from "./secret";
import type { ErrorBody } from "./types";

/** A request that failed, with the server's code and message where it sent them. */
export class ApiError extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
  }
}

type Query = Readonly<Record<string, string | number | undefined>>;

export function urlOf(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value !== undefined && value !== "") search.set(key, String(value));
  }
  const text = search.toString();
  return text === "" ? path : `${path}?${text}`;
}

export async function getJson<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
  const response = await send(urlOf(path, query), { signal: signal ?? null });
  return (await response.json()) as T;
}

export async function postJson<T>(path: string, body: unknown = {}): Promise<T> {
  const response = await send(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export async function deleteJson<T>(path: string): Promise<T> {
  return (await (await send(path, { method: "DELETE" })).json()) as T;
}

export async function send(url: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    const headers = { ...(init.headers as Record<string, string> | undefined), ...sessionHeaders(url) };
    response = await fetch(url, { credentials: "same-origin", ...init, headers });
  } catch (problem) {
    if (problem instanceof DOMException && problem.name === "AbortError") throw problem;
    throw new ApiError(
      0,
      "SERVER_UNREACHABLE",
      "The Headrace server does not answer. Is `headrace up` still running?",
    );
  }
  if (!response.ok) throw await errorOf(response);
  return response;
}

async function errorOf(response: Response): Promise<ApiError> {
  try {
    const body = (await response.json()) as Partial<ErrorBody>;
    return new ApiError(response.status, body.code ?? "UNKNOWN", body.message ?? response.statusText);
  } catch {
    return new ApiError(
      response.status,
      "UNKNOWN",
      `The server answered ${response.status} ${response.statusText}.`,
    );
  }
}

export function isSignedOut(problem: unknown): boolean {
  return problem instanceof ApiError && problem.status === 401;
}
