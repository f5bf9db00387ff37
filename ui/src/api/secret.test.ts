import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { forgetSecret, sessionHeaders, sessionSecret, takeSecretFromAddress } from "./secret";

const kept = new Map<string, string>();
let address = "";

function open(hash: string): void {
  address = `/runs?x=1${hash}`;
  vi.stubGlobal("location", { hash, pathname: "/runs", search: "?x=1" });
}

beforeEach(() => {
  kept.clear();
  vi.stubGlobal("history", {
    replaceState: (_: unknown, __: string, url: string) => {
      address = url;
    },
  });
  vi.stubGlobal("localStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, value: string) => kept.set(key, value),
    removeItem: (key: string) => kept.delete(key),
  });
});

afterEach(() => {
  forgetSecret();
  vi.unstubAllGlobals();
});

describe("the secret of the session", () => {
  it("goes from the address into the storage of this origin, and leaves the address", () => {
    open("#session-secret=abc-_1");
    takeSecretFromAddress();
    expect([sessionSecret(), address, [...kept.values()]]).toEqual(["abc-_1", "/runs?x=1", ["abc-_1"]]);
  });

  it("leaves every other address alone", () => {
    for (const hash of [
      "",
      "#/runs/details/4",
      "#session-secret=",
      "#session-secret=a b",
      "#x&session-secret=a",
    ]) {
      open(hash);
      takeSecretFromAddress();
      expect([sessionSecret(), address]).toEqual([null, `/runs?x=1${hash}`]);
    }
  });

  it("is sent to our own server and to no other", () => {
    open("#session-secret=abc");
    takeSecretFromAddress();
    expect(sessionHeaders("/api/runs")).toEqual({ "Headrace-Session-Secret": "abc" });
    for (const url of ["http://localhost:9/c/x", "//localhost:9/c/x", "blob:x"])
      expect(sessionHeaders(url)).toEqual({});
    forgetSecret();
    expect(sessionHeaders("/api/runs")).toEqual({});
  });

  it("stays in the page of a browser that keeps nothing", () => {
    const refuse = (): never => {
      throw new DOMException("no storage", "SecurityError");
    };
    vi.stubGlobal("localStorage", { getItem: refuse, setItem: refuse, removeItem: refuse });
    open("#session-secret=abc");
    takeSecretFromAddress();
    expect(sessionSecret()).toBe("abc");
    forgetSecret();
    expect(sessionSecret()).toBeNull();
  });
});
