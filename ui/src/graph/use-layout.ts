import { useEffect, useRef, useState } from "react";
import { startWorker } from "@/lib/worker";
import type { Layout, LayoutItem } from "./layout";
import workerUrl from "./layout.worker?worker&url";

interface Answer {
  readonly id: number;
  readonly result: Layout;
  readonly took: number;
}

/** Computes the layout in a worker, so that a large graph does not block the page. Returns the last layout until the next is ready. */
export function useLayout(items: readonly LayoutItem[]): Layout | null {
  const [result, setResult] = useState<Layout | null>(null);
  const worker = useRef<Worker | null>(null);
  const asked = useRef(0);
  useEffect(() => {
    const made = startWorker(workerUrl, "layout");
    worker.current = made;
    made.onmessage = (event: MessageEvent<Answer>) => {
      if (event.data.id !== asked.current) return;
      performance.measure("headrace:layout", {
        start: performance.now() - event.data.took,
        duration: event.data.took,
      });
      setResult(event.data.result);
    };
    return () => {
      worker.current = null;
      made.terminate();
    };
  }, []);
  useEffect(() => {
    asked.current += 1;
    worker.current?.postMessage({ id: asked.current, items });
  }, [items]);
  return result;
}
