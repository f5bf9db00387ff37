/** The event stream's connections on a scripted server and a clock that the test moves; the browser tests use real ones. */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openStream, type StreamState } from "./stream";

class ScriptedConnection {
  static all: ScriptedConnection[] = [];

  state: "connecting" | "open" | "over" = "connecting";
  readonly headers: Readonly<Record<string, string>>;
  readonly answer: Promise<Response>;
  private resolve!: (response: Response) => void;
  private reject!: (problem: unknown) => void;
  private body!: ReadableStreamDefaultController<Uint8Array>;

  constructor(
    readonly url: string,
    init: RequestInit,
  ) {
    this.headers = init.headers as Record<string, string>;
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    init.signal!.addEventListener("abort", () => {
      this.state = "over";
      this.reject(new DOMException("aborted", "AbortError"));
    });
    ScriptedConnection.all.push(this);
  }
  open(): Promise<unknown> {
    if (this.state === "connecting") {
      this.state = "open";
      const start = (body: ReadableStreamDefaultController<Uint8Array>): void => {
        this.body = body;
      };
      this.resolve(new Response(new ReadableStream({ start }), { status: 200 }));
    }
    return settled();
  }
  /** The connection breaks. */
  interrupt(): Promise<unknown> {
    if (this.state === "open") this.body.error(new TypeError("network error"));
    else this.reject(new TypeError("network error"));
    this.state = "over";
    return settled();
  }
  /** The server answers with an HTTP error, or ends an answer that has begun. */
  refuse(): Promise<unknown> {
    if (this.state === "open") this.body.close();
    else this.resolve(new Response("{}", { status: 500 }));
    this.state = "over";
    return settled();
  }
  send(text: string): Promise<unknown> {
    if (this.state === "open") this.body.enqueue(new TextEncoder().encode(text));
    return settled();
  }
}

/** Everything that follows at once has happened. */
const settled = (): Promise<unknown> => vi.advanceTimersByTimeAsync(1);

const page = { hidden: false, listeners: new Set<() => void>() };

function setHidden(hidden: boolean): void {
  page.hidden = hidden;
  for (const listener of page.listeners) listener();
}

beforeEach(() => {
  vi.useFakeTimers();
  ScriptedConnection.all = [];
  page.hidden = false;
  page.listeners.clear();
  vi.spyOn(console, "warn").mockImplementation(() => undefined);
  vi.stubGlobal("fetch", (url: string, init: RequestInit) => new ScriptedConnection(url, init).answer);
  const kept = new Map([["headrace.session-secret", "s3cret"]]);
  vi.stubGlobal("localStorage", { getItem: (key: string) => kept.get(key) ?? null });
  vi.stubGlobal("document", {
    get hidden() {
      return page.hidden;
    },
    addEventListener: (_: string, listener: () => void) => page.listeners.add(listener),
    removeEventListener: (_: string, listener: () => void) => page.listeners.delete(listener),
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const live = (): ScriptedConnection[] => ScriptedConnection.all.filter((each) => each.state !== "over");
const last = (): ScriptedConnection => ScriptedConnection.all.at(-1)!;
const event = (name: string, data: unknown, id = ""): string =>
  `${id === "" ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

describe("an event stream", () => {
  it("says whose session it is, and goes on after the last event when the connection breaks", async () => {
    const seen: unknown[] = [];
    openStream(() => "/log?offset=0", { on: { log: (data, id) => seen.push([data, id]) } });
    await last().open();
    await last().send(`${event("log", { text: "a" }, "7")}${event("other", "not handled")}: here\n\n`);
    await last().interrupt();
    await vi.advanceTimersByTimeAsync(1000);
    await last().open();
    await last().send(event("log", { text: "b" }, "9"));
    expect(seen).toEqual([
      [{ text: "a" }, "7"],
      [{ text: "b" }, "9"],
    ]);
    expect(ScriptedConnection.all.map(({ headers }) => headers["Last-Event-ID"])).toEqual([undefined, "7"]);
    expect(new Set(ScriptedConnection.all.map(({ headers }) => headers["Headrace-Session-Secret"]))).toEqual(
      new Set(["s3cret"]),
    );
  });

  it("begins after what was loaded before, also after a refusal", async () => {
    let loaded = "4";
    openStream(() => "/events", { on: {}, after: () => loaded });
    await last().refuse();
    loaded = "6";
    await vi.advanceTimersByTimeAsync(1000);
    expect(ScriptedConnection.all.map(({ headers }) => headers["Last-Event-ID"])).toEqual(["4", "6"]);
  });

  it("asks for the address again after a refusal", async () => {
    let offset = 0;
    openStream(() => `/log?offset=${offset}`, { on: {} });
    offset = 7;
    await last().refuse();
    await vi.advanceTimersByTimeAsync(1000);
    expect(ScriptedConnection.all.map(({ url }) => url)).toEqual(["/log?offset=0", "/log?offset=7"]);
    expect(last().headers["Last-Event-ID"]).toBeUndefined();
  });

  it("waits longer after each refusal, and as at first after a success", async () => {
    openStream(() => "/events", { on: {} });
    const waits: number[] = [];
    const refuseAndMeasure = async (): Promise<void> => {
      const before = ScriptedConnection.all.length;
      await last().refuse();
      for (let waited = 0; waited <= 20_000; waited += 500) {
        if (ScriptedConnection.all.length > before) {
          waits.push(waited);
          return;
        }
        await vi.advanceTimersByTimeAsync(500);
      }
    };
    for (let times = 0; times < 6; times += 1) await refuseAndMeasure();
    await last().open();
    await refuseAndMeasure();
    expect(waits).toEqual([1000, 2000, 5000, 10_000, 10_000, 10_000, 1000]);
  });

  it("says lost, and not connecting, while it tries again", async () => {
    const states: StreamState[] = [];
    openStream(() => "/events", { on: {}, onState: (state) => states.push(state) });
    await last().refuse();
    await vi.advanceTimersByTimeAsync(1000);
    expect(states).toEqual(["connecting", "lost", "lost"]);
  });

  it("takes a connection that is silent for long as broken, and not one that is alive", async () => {
    openStream(() => "/events", { on: {} });
    await last().open();
    for (let times = 0; times < 10; times += 1) {
      await vi.advanceTimersByTimeAsync(15_000);
      await last().send(": here\n\n");
    }
    expect(ScriptedConnection.all).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(ScriptedConnection.all.length).toBeGreaterThan(1);
  });

  it("ends with the server's end, after the handler", async () => {
    const seen: string[] = [];
    openStream(() => "/events", {
      on: { end: () => seen.push("handler") },
      onState: (state) => seen.push(state),
    });
    await last().open();
    await last().send(event("end", {}));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(seen).toEqual(["connecting", "live", "handler", "ended"]);
    expect(live()).toHaveLength(0);
    expect(page.listeners.size).toBe(0);
  });
});

type Step = "open" | "interrupt" | "refuse" | "hide" | "show" | "short" | "long" | "end" | "close";
const step = fc.constantFrom<Step>(
  "open",
  "interrupt",
  "refuse",
  "hide",
  "show",
  "short",
  "long",
  "end",
  "close",
);

describe("an event stream with any history", () => {
  it("has one connection or one on the way while the page is seen, and none when it is closed", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        ScriptedConnection.all = [];
        page.hidden = false;
        page.listeners.clear();
        let over = false;
        const close = openStream(() => "/events", {
          on: {},
          onState: (state) => (over ||= state === "ended"),
        });
        for (const each of steps) {
          const source = live()[0];
          if (each === "open") await source?.open();
          else if (each === "interrupt") await source?.interrupt();
          else if (each === "refuse") await source?.refuse();
          else if (each === "end") await source?.send(event("end", {}));
          else if (each === "hide") setHidden(true);
          else if (each === "show") setHidden(false);
          else if (each === "short") await vi.advanceTimersByTimeAsync(900);
          else if (each === "long") await vi.advanceTimersByTimeAsync(11_000);
          else {
            close();
            over = true;
          }
          expect(live().length, "never two connections").toBeLessThanOrEqual(1);
          if (each === "long") expect(live().length).toBe(over || page.hidden ? 0 : 1);
        }
        close();
        await vi.advanceTimersByTimeAsync(60_000);
        expect([live().length, vi.getTimerCount(), page.listeners.size]).toEqual([0, 0, 0]);
      }),
      { numRuns: 150 },
    );
  });
});
