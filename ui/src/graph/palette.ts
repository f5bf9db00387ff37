import type { Tone } from "@/lib/states";

const NAMES = {
  bg: "--bg",
  surface: "--surface",
  raised: "--raised",
  track: "--track",
  border: "--border",
  strong: "--border-strong",
  text: "--text",
  dim: "--dim",
  accent: "--accent",
  edge: "--edge",
  badSoft: "--bad-soft",
} as const;

const TONES: readonly Tone[] = ["good", "bad", "active", "idle", "muted", "warn", "hold"];

export type Palette = Record<keyof typeof NAMES, string> & {
  readonly tones: Record<Tone, string>;
  readonly sans: string;
};

/** The page's current colours, resolved to the `rgb(…)` values that a canvas needs. */
export function readPalette(host: HTMLElement): Palette {
  const probe = document.createElement("span");
  host.append(probe);
  const resolve = (name: string): string => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const colours = Object.fromEntries(Object.entries(NAMES).map(([key, name]) => [key, resolve(name)]));
  const tones = Object.fromEntries(TONES.map((tone) => [tone, resolve(`--${tone}`)]));
  const sans = getComputedStyle(host).fontFamily;
  probe.remove();
  return { ...colours, tones, sans } as Palette;
}
