import {
  type KeyboardEvent,
  type PointerEvent,
  type Ref,
  useCallback,
  useEffect,
  useImperativeHandle,
  useMemo,
  useRef,
  useState,
} from "react";
import { Button } from "@/components/button";
import { styleOfState } from "@/lib/states";
import { type Camera, fitIn, pan, reveal, type Size, toWorld, zoomAt } from "./camera";
import { draw, type Scene } from "./draw";
import { type Direction, hitAt, nextBox } from "./hit-test";
import type { Layout } from "./layout";
import type { NodeDisplay } from "./model";
import { type Palette, readPalette } from "./palette";
import styles from "./view.module.css";

export interface GraphHandle {
  fit(): void;
  reveal(id: string): void;
}

interface GraphViewProps {
  readonly layout: Layout | null;
  readonly displays: ReadonlyMap<string, NodeDisplay>;
  readonly collapsed: ReadonlySet<string>;
  readonly unconditional: ReadonlySet<string>;
  readonly selected: string | null;
  /** Describes the graph for screen readers. */
  readonly label: string;
  readonly onSelect: (id: string | null) => void;
  readonly onFold: (id: string) => void;
  readonly onIteration: (loop: string, at: number) => void;
  readonly handle: Ref<GraphHandle>;
}

const ARROWS: Readonly<Record<string, Direction>> = {
  ArrowUp: "up",
  ArrowDown: "down",
  ArrowLeft: "left",
  ArrowRight: "right",
};
const SPIN_MS = 1400;
const FRAME_MS = 66;

export function GraphView(props: GraphViewProps) {
  const {
    layout,
    displays,
    collapsed,
    unconditional,
    selected,
    label,
    onSelect,
    onFold,
    onIteration,
    handle,
  } = props;
  const host = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const camera = useRef<Camera>({ x: 0, y: 0, scale: 1 });
  const size = useRef<Size>({ width: 0, height: 0 });
  const palette = useRef<Palette | null>(null);
  /** Whether the whole graph is in view: true until the user moves or zooms. */
  const fitted = useRef(true);
  const pointers = useRef(new Map<number, { x: number; y: number }>());
  const travelled = useRef(0);
  const [hovered, setHovered] = useState<string | null>(null);
  const [tip, setTip] = useState<{ id: string; x: number; y: number } | null>(null);
  const scene = useMemo<Scene | null>(
    () => (layout === null ? null : { layout, displays, collapsed, selected, hovered, unconditional }),
    [layout, displays, collapsed, selected, hovered, unconditional],
  );
  const current = useRef(scene);
  current.current = scene;

  const paint = useRef(0);
  const redraw = useCallback(() => {
    if (paint.current !== 0) return;
    paint.current = requestAnimationFrame(() => {
      paint.current = 0;
      const context = canvas.current?.getContext("2d");
      if (!context || host.current === null || current.current === null) return;
      palette.current ??= readPalette(host.current);
      const ratio = window.devicePixelRatio || 1;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      const phase = (performance.now() % SPIN_MS) / SPIN_MS;
      draw(context, current.current, camera.current, size.current, palette.current, phase);
      const first = performance.getEntriesByName("headrace:graph").length === 0;
      if (first) performance.mark("headrace:graph");
    });
  }, []);

  const refit = useCallback(() => {
    if (current.current === null) return;
    fitted.current = true;
    camera.current = fitIn(current.current.layout, size.current);
    redraw();
  }, [redraw]);

  const smallest = (): number =>
    current.current === null ? 0.05 : Math.min(0.5, fitIn(current.current.layout, size.current).scale * 0.7);

  useEffect(() => {
    const element = host.current!;
    const observer = new ResizeObserver(() => {
      const ratio = window.devicePixelRatio || 1;
      size.current = { width: element.clientWidth, height: element.clientHeight };
      canvas.current!.width = Math.round(size.current.width * ratio);
      canvas.current!.height = Math.round(size.current.height * ratio);
      if (fitted.current) refit();
      redraw();
    });
    observer.observe(element);
    const recolour = (): void => {
      palette.current = null;
      redraw();
    };
    const scheme = window.matchMedia("(prefers-color-scheme: dark)");
    scheme.addEventListener("change", recolour);
    const theme = new MutationObserver(recolour);
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => {
      observer.disconnect();
      theme.disconnect();
      scheme.removeEventListener("change", recolour);
      cancelAnimationFrame(paint.current);
      paint.current = 0;
    };
  }, [redraw, refit]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: runs for each new layout
  useEffect(() => {
    if (fitted.current) refit();
    else redraw();
  }, [layout, refit, redraw]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: every change of the scene needs a redraw
  useEffect(redraw, [scene, redraw]);

  const running = useMemo(
    () => [...displays.values()].some((display) => display.state === "RUNNING"),
    [displays],
  );
  useEffect(() => {
    if (!running || window.matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const timer = setInterval(redraw, FRAME_MS);
    return () => clearInterval(timer);
  }, [running, redraw]);

  const show = useCallback(
    (id: string) => {
      const box = current.current?.layout.boxes.find((other) => other.id === id);
      if (box === undefined) return;
      const next = reveal(camera.current, { ...box, height: Math.min(box.height, 120) }, size.current);
      if (next === camera.current) return;
      fitted.current = false;
      camera.current = next;
      redraw();
    },
    [redraw],
  );
  useImperativeHandle(handle, () => ({ fit: refit, reveal: show }), [refit, show]);

  useEffect(() => {
    const element = canvas.current!;
    const onWheel = (event: WheelEvent): void => {
      event.preventDefault();
      fitted.current = false;
      setTip(null);
      if (event.shiftKey) camera.current = pan(camera.current, -(event.deltaX || event.deltaY), 0);
      else {
        const strength = event.ctrlKey ? 0.012 : 0.0016;
        const factor = Math.exp(-event.deltaY * (event.deltaMode === 1 ? 16 : 1) * strength);
        camera.current = zoomAt(camera.current, factor, { x: event.offsetX, y: event.offsetY }, smallest());
      }
      redraw();
    };
    // React's listener is passive, and a passive listener cannot stop the page from scrolling.
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  });

  const pointOf = (event: PointerEvent): { x: number; y: number } => {
    const area = canvas.current!.getBoundingClientRect();
    return { x: event.clientX - area.left, y: event.clientY - area.top };
  };
  const hit = (point: { x: number; y: number }) =>
    current.current === null
      ? null
      : hitAt(current.current.layout, displays, collapsed, toWorld(camera.current, point));

  const onPointerDown = (event: PointerEvent): void => {
    if (event.button !== 0) return;
    canvas.current!.setPointerCapture(event.pointerId);
    pointers.current.set(event.pointerId, pointOf(event));
    travelled.current = pointers.current.size > 1 ? 99 : 0;
    setTip(null);
  };
  const onPointerMove = (event: PointerEvent): void => {
    const now = pointOf(event);
    const before = pointers.current.get(event.pointerId);
    if (before === undefined) {
      const found = hit(now);
      const id = found?.id ?? null;
      if (id !== hovered) setHovered(id);
      setTip(id === null ? null : { id, x: now.x, y: now.y });
      canvas.current!.style.cursor = found === null ? "grab" : "pointer";
      return;
    }
    const others = [...pointers.current].filter(([id]) => id !== event.pointerId);
    if (others.length === 1) {
      const anchor = others[0]![1];
      const spread = (point: { x: number; y: number }) =>
        Math.hypot(point.x - anchor.x, point.y - anchor.y) || 1;
      camera.current = zoomAt(camera.current, spread(now) / spread(before), anchor, smallest());
    } else camera.current = pan(camera.current, now.x - before.x, now.y - before.y);
    travelled.current += Math.hypot(now.x - before.x, now.y - before.y);
    if (travelled.current > 4) fitted.current = false;
    pointers.current.set(event.pointerId, now);
    redraw();
  };
  const onPointerUp = (event: PointerEvent): void => {
    if (!pointers.current.delete(event.pointerId) || travelled.current > 4) return;
    const found = hit(pointOf(event));
    if (found === null) onSelect(null);
    else if (found.kind === "fold") onFold(found.id);
    else if (found.kind === "iteration") onIteration(found.id, found.at);
    else onSelect(found.id);
  };

  const zoom = (factor: number): void => {
    fitted.current = false;
    const middle = { x: size.current.width / 2, y: size.current.height / 2 };
    camera.current = zoomAt(camera.current, factor, middle, smallest());
    redraw();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const direction = ARROWS[event.key];
    if (direction !== undefined && layout !== null) {
      const next = selected === null ? (layout.boxes[0]?.id ?? null) : nextBox(layout, selected, direction);
      if (next !== null) {
        onSelect(next);
        show(next);
      }
    } else if (event.key === "+" || event.key === "=") zoom(1.25);
    else if (event.key === "-") zoom(0.8);
    else if (event.key === " " && selected !== null) onFold(selected);
    else return;
    event.preventDefault();
  };

  const selectedDisplay = selected === null ? null : (displays.get(selected) ?? null);
  const tipDisplay = tip === null ? null : (displays.get(tip.id) ?? null);
  return (
    <div ref={host} className={styles.host}>
      <canvas
        ref={canvas}
        className={styles.canvas}
        tabIndex={0}
        role="img"
        aria-label={`${label}. Arrow keys move from task to task. The Tasks tab has the same tasks as a list.`}
        onPointerDown={onPointerDown}
        onPointerMove={onPointerMove}
        onPointerUp={onPointerUp}
        onPointerCancel={onPointerUp}
        onPointerLeave={() => {
          setHovered(null);
          setTip(null);
        }}
        onDoubleClick={(event) => {
          const area = canvas.current!.getBoundingClientRect();
          const found = hit({ x: event.clientX - area.left, y: event.clientY - area.top });
          if (found?.kind === "node") onFold(found.id);
        }}
        onKeyDown={onKeyDown}
      />
      <output className="unseen">
        {selectedDisplay &&
          `${selectedDisplay.label}, ${styleOfState(selectedDisplay.state).label}, ${selectedDisplay.detail}`}
      </output>
      {tip && tipDisplay && (
        <div className={styles.tip} style={{ left: tip.x + 14, top: tip.y + 18 }} aria-hidden="true">
          <strong>{tipDisplay.label}</strong>
          <span>
            {styleOfState(tipDisplay.state).label}
            {tipDisplay.detail && ` · ${tipDisplay.detail}`}
          </span>
          {tipDisplay.note && <span>{tipDisplay.note}</span>}
        </div>
      )}
      <div className={styles.tools}>
        <Button
          variant="quiet"
          icon="plus"
          aria-label="Zoom in"
          title="Zoom in (+)"
          onClick={() => zoom(1.3)}
        />
        <Button
          variant="quiet"
          icon="minus"
          aria-label="Zoom out"
          title="Zoom out (−)"
          onClick={() => zoom(1 / 1.3)}
        />
        <Button
          variant="quiet"
          icon="fit"
          aria-label="Show the whole graph"
          title="Show the whole graph (0)"
          onClick={refit}
        />
      </div>
    </div>
  );
}
