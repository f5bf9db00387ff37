/** The text of an event stream as events, by the rules of the HTML standard. */

export interface StreamEvent {
  readonly event: string;
  readonly data: string;
  /** The ID to go on after. It stays the same until the server sends another one. */
  readonly id: string;
}

export class EventParser {
  /** The last ID of this stream, for the next connection. */
  lastId: string;
  private rest = "";
  private event = "";
  private data: string[] = [];

  constructor(lastId = "") {
    this.lastId = lastId;
  }

  /** Adds text in pieces of any size; returns the events that are complete now. */
  feed(text: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    const all = this.rest + text;
    // A carriage return at the end may be the first half of a line end.
    const usable = all.endsWith("\r") ? all.length - 1 : all.length;
    const lines = all.slice(0, usable).split(/\r\n|\n|\r/);
    this.rest = lines.pop()! + all.slice(usable);
    for (const line of lines) {
      const complete = this.line(line);
      if (complete !== null) events.push(complete);
    }
    return events;
  }

  private line(line: string): StreamEvent | null {
    if (line === "") return this.dispatch();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.event = value;
    else if (name === "data") this.data.push(value);
    else if (name === "id" && !value.includes("\0")) this.lastId = value;
    return null;
  }

  private dispatch(): StreamEvent | null {
    const { event, data } = this;
    this.event = "";
    this.data = [];
    if (data.length === 0) return null;
    return { event: event === "" ? "message" : event, data: data.join("\n"), id: this.lastId };
  }
}
