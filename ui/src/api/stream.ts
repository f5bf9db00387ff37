/**
 * Server-sent events that reconnect. Their state says when to poll instead.
 *
 * They are read with `fetch`, because an EventSource cannot send the header that says whose session this is.
 */
import { send } from "./client";
import { EventParser } from "./event-parser";

export type StreamState = "connecting" | "live" | "lost" | "ended";

export interface StreamHandlers {
  /** Event name -> handler of its data. An event named `end` closes the stream. */
  readonly on: Readonly<Record<string, (data: unknown, id: string) => void>>;
  readonly onState?: (state: StreamState) => void;
  /** The id of the event after which a new connection begins: what was loaded before is not sent again. */
  readonly after?: () => string;
}

const RETRY_MS = [1000, 2000, 5000, 10_000];
/** A page in the background disconnects after this time: a browser allows only six connections to one server. */
const HIDDEN_MS = 10_000;
/** The server sends something every 15 seconds. A connection that is silent for this long is lost. */
const SILENT_MS = 45_000;

/**
 * Listens until the caller calls the returned function or the server sends `end`. A new connection calls `url` again; one
 * that follows a broken connection goes on after the last event instead.
 */
export function openStream(url: () => string, handlers: StreamHandlers): () => void {
  let connection: AbortController | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let closed = false;
  let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  let disconnectedWhileHidden = false;

  const disconnect = (): void => {
    clearTimeout(timer);
    connection?.abort();
    connection = null;
  };
  const close = (): void => {
    closed = true;
    clearTimeout(hiddenTimer);
    document.removeEventListener("visibilitychange", onVisibility);
    disconnect();
  };
  const onVisibility = (): void => {
    clearTimeout(hiddenTimer);
    if (document.hidden) {
      hiddenTimer = setTimeout(() => {
        disconnectedWhileHidden = true;
        disconnect();
      }, HIDDEN_MS);
    } else if (disconnectedWhileHidden) {
      disconnectedWhileHidden = false;
      connect();
    }
  };
  const again = (address?: string, lastId?: string): void => {
    handlers.onState?.("lost");
    timer = setTimeout(() => connect(address, lastId), RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
    failures += 1;
  };
  const connect = (address = url(), resumedAt = ""): void => {
    if (closed) return;
    handlers.onState?.(failures === 0 && resumedAt === "" ? "connecting" : "lost");
    const lastId = resumedAt || (handlers.after?.() ?? "");
    const own = new AbortController();
    const parser = new EventParser(lastId);
    connection = own;
    let live = false;
    const opened = (): void => {
      live = true;
      failures = 0;
      handlers.onState?.("live");
    };
    const arrived = (text: string): void => {
      for (const { event, data, id } of parser.feed(text)) {
        if (own.signal.aborted) return;
        if (Object.hasOwn(handlers.on, event)) handlers.on[event]!(JSON.parse(data), id);
        if (event !== "end") continue;
        handlers.onState?.("ended");
        close();
      }
    };
    void readText(address, lastId, own, opened, arrived)
      .catch((problem: unknown) => {
        if (!own.signal.aborted && live) console.warn("an event stream broke off", problem);
      })
      .then(() => {
        if (connection !== own) return;
        own.abort();
        if (live) again(address, parser.lastId);
        else again();
      });
  };
  document.addEventListener("visibilitychange", onVisibility);
  connect();
  return close;
}

/** Reads until the stream ends, fails or is silent for too long. */
async function readText(
  address: string,
  lastId: string,
  own: AbortController,
  opened: () => void,
  arrived: (text: string) => void,
): Promise<void> {
  const headers: Record<string, string> = { Accept: "text/event-stream" };
  if (lastId !== "") headers["Last-Event-ID"] = lastId;
  const response = await send(address, { headers, signal: own.signal, cache: "no-store" });
  if (own.signal.aborted) return;
  opened();
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const stop = (): void => void reader.cancel().catch(() => undefined);
  own.signal.addEventListener("abort", stop);
  let silence: ReturnType<typeof setTimeout> | undefined;
  try {
    while (!own.signal.aborted) {
      silence = setTimeout(stop, SILENT_MS);
      const { done, value } = await reader.read();
      clearTimeout(silence);
      if (done) return;
      arrived(value);
    }
  } finally {
    clearTimeout(silence);
    own.signal.removeEventListener("abort", stop);
  }
}
