import { type LayoutItem, layout } from "./layout";

addEventListener("message", (event: MessageEvent<{ id: number; items: readonly LayoutItem[] }>) => {
  const start = performance.now();
  const result = layout(event.data.items);
  postMessage({ id: event.data.id, result, took: performance.now() - start });
});
