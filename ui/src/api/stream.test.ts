/**
 * The event stream's connections on a scripted EventSource and a clock that the test moves.
 *
 * Node has no EventSource. This one follows the states of the HTML standard and nothing else; the browser tests
 * use the real one.
 */
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openStream, type StreamState } from "./stream";

class ScriptedSource {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSED = 2;
  static all: ScriptedSource[] = [];

  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  private readonly listeners = new Map<string, ((event: { data: string; lastEventId: string }) => void)[]>();

  constructor(readonly url: string) {
    ScriptedSource.all.push(this);
  }
  addEventListener(name: string, listener: (event: { data: string; lastEventId: string }) => void): void {
    this.listeners.set(name, [...(this.listeners.get(name) ?? []), listener]);
  }
  close(): void {
    this.readyState = 2;
  }
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }
  /** The connection breaks; the browser connects again by itself. */
  interrupt(): void {
    this.readyState = 0;
    this.onerror?.();
  }
  /** The server answers with an HTTP error; the browser gives up. */
  refuse(): void {
    this.readyState = 2;
    this.onerror?.();
  }
  send(name: string, data: unknown, lastEventId = ""): void {
    for (const listener of this.listeners.get(name) ?? [])
      listener({ data: JSON.stringify(data), lastEventId });
  }
}

const page = { hidden: false, listeners: new Set<() => void>() };

function setHidden(hidden: boolean): void {
  page.hidden = hidden;
  for (const listener of page.listeners) listener();
}

beforeEach(() => {
  vi.useFakeTimers();
  ScriptedSource.all = [];
  page.hidden = false;
  page.listeners.clear();
  vi.stubGlobal("EventSource", ScriptedSource);
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
  vi.unstubAllGlobals();
});

const live = (): ScriptedSource[] => ScriptedSource.all.filter((source) => source.readyState !== 2);
const last = (): ScriptedSource => ScriptedSource.all.at(-1)!;

describe("an event stream", () => {
  it("gives each event's data and ID to its handler, and asks for the address at each connection", () => {
    const seen: unknown[] = [];
    let offset = 0;
    openStream(() => `/log?offset=${offset}`, { on: { log: (data, id) => seen.push([data, id]) } });
    last().open();
    last().send("log", { text: "a" }, "7");
    last().send("other", "not handled");
    offset = 7;
    last().refuse();
    vi.advanceTimersByTime(1000);
    expect(seen).toEqual([[{ text: "a" }, "7"]]);
    expect(ScriptedSource.all.map((source) => source.url)).toEqual(["/log?offset=0", "/log?offset=7"]);
  });

  it("waits longer after each refusal, and as at first after a success", () => {
    openStream(() => "/events", { on: {} });
    const waits: number[] = [];
    const refuseAndMeasure = (): void => {
      const before = ScriptedSource.all.length;
      last().refuse();
      for (let waited = 0; waited <= 20_000; waited += 500) {
        if (ScriptedSource.all.length > before) {
          waits.push(waited);
          return;
        }
        vi.advanceTimersByTime(500);
      }
    };
    for (let times = 0; times < 6; times += 1) refuseAndMeasure();
    last().open();
    refuseAndMeasure();
    expect(waits).toEqual([1000, 2000, 5000, 10_000, 10_000, 10_000, 1000]);
  });

  it("leaves an interrupted connection to the browser", () => {
    const states: StreamState[] = [];
    openStream(() => "/events", { on: {}, onState: (state) => states.push(state) });
    last().open();
    last().interrupt();
    vi.advanceTimersByTime(60_000);
    expect(ScriptedSource.all).toHaveLength(1);
    last().open();
    expect(states).toEqual(["connecting", "live", "lost", "live"]);
  });

  it("says lost, and not connecting, while it tries again", () => {
    const states: StreamState[] = [];
    openStream(() => "/events", { on: {}, onState: (state) => states.push(state) });
    last().refuse();
    vi.advanceTimersByTime(1000);
    expect(states).toEqual(["connecting", "lost", "lost"]);
  });

  it("ends with the server's end, after the handler", () => {
    const seen: string[] = [];
    openStream(() => "/events", {
      on: { end: () => seen.push("handler") },
      onState: (state) => seen.push(state),
    });
    last().open();
    last().send("end", {});
    vi.advanceTimersByTime(60_000);
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
  it("has one connection or one on the way while the page is seen, and none when it is closed", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        ScriptedSource.all = [];
        page.hidden = false;
        page.listeners.clear();
        let over = false;
        const close = openStream(() => "/events", {
          on: {},
          onState: (state) => (over ||= state === "ended"),
        });
        for (const each of steps) {
          const source = live()[0];
          if (each === "open") source?.open();
          else if (each === "interrupt") source?.interrupt();
          else if (each === "refuse") source?.refuse();
          else if (each === "end") source?.send("end", {});
          else if (each === "hide") setHidden(true);
          else if (each === "show") setHidden(false);
          else if (each === "short") vi.advanceTimersByTime(900);
          else if (each === "long") vi.advanceTimersByTime(11_000);
          else {
            close();
            over = true;
          }
          expect(live().length, "never two connections").toBeLessThanOrEqual(1);
          if (each === "long") expect(live().length).toBe(over || page.hidden ? 0 : 1);
        }
        close();
        vi.advanceTimersByTime(60_000);
        expect([live().length, vi.getTimerCount(), page.listeners.size]).toEqual([0, 0, 0]);
      }),
      { numRuns: 300 },
    );
  });
});
