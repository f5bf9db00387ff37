/** Server-sent events that reconnect. Their state says when to poll instead. */

export type StreamState = "connecting" | "live" | "lost" | "ended";

export interface StreamHandlers {
  /** Event name -> handler of its data. An event named `end` closes the stream. */
  readonly on: Readonly<Record<string, (data: unknown, id: string) => void>>;
  readonly onState?: (state: StreamState) => void;
}

const RETRY_MS = [1000, 2000, 5000, 10_000];
/** A page in the background disconnects after this time: a browser allows only six connections to one server. */
const HIDDEN_MS = 10_000;

/** Listens until the caller calls the returned function or the server sends `end`. Each connection calls `url` again. */
export function openStream(url: () => string, handlers: StreamHandlers): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let closed = false;
  let hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  let disconnectedWhileHidden = false;

  const disconnect = (): void => {
    clearTimeout(timer);
    source?.close();
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
  const connect = (): void => {
    if (closed) return;
    handlers.onState?.(failures === 0 ? "connecting" : "lost");
    source = new EventSource(url());
    source.onopen = () => {
      failures = 0;
      handlers.onState?.("live");
    };
    source.onerror = () => {
      handlers.onState?.("lost");
      // The browser reconnects by itself, except after an HTTP error: then it closes the source.
      if (source?.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(connect, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]);
      failures += 1;
    };
    for (const [name, handle] of Object.entries(handlers.on)) {
      source.addEventListener(name, (event: MessageEvent<string>) => {
        handle(JSON.parse(event.data), event.lastEventId);
      });
    }
    source.addEventListener("end", () => {
      handlers.onState?.("ended");
      close();
    });
  };
  document.addEventListener("visibilitychange", onVisibility);
  connect();
  return close;
}
