/** Server-sent events with a way to know when to poll instead. */

export type StreamState = "connecting" | "live" | "lost" | "ended";

export interface StreamHandlers {
  /** Event name -> what to do with its data. An event called `end` closes the stream. */
  readonly on: Readonly<Record<string, (data: unknown, id: string) => void>>;
  readonly onState?: (state: StreamState) => void;
}

const RETRY_MS = [1000, 2000, 5000, 10_000];
/** A page in the background lets go after this long: a browser allows one server only six connections. */
const HIDDEN_MS = 10_000;

/** Listens until the returned function is called or the server says `end`. `url` is asked anew at each connection. */
export function openStream(url: () => string, handlers: StreamHandlers): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let failures = 0;
  let closed = false;
  let hiding: ReturnType<typeof setTimeout> | undefined;
  let resting = false;

  const letGo = (): void => {
    clearTimeout(timer);
    source?.close();
  };
  const close = (): void => {
    closed = true;
    clearTimeout(hiding);
    document.removeEventListener("visibilitychange", onVisibility);
    letGo();
  };
  const onVisibility = (): void => {
    clearTimeout(hiding);
    if (document.hidden) {
      hiding = setTimeout(() => {
        resting = true;
        letGo();
      }, HIDDEN_MS);
    } else if (resting) {
      resting = false;
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
      // A browser does not come back after an HTTP error; while it does so itself, leave it alone.
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
