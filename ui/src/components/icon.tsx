const PATHS = {
  search: "M7 2.500a4.500 4.500 0 1 1 0 9a4.500 4.500 0 0 1 0-9zM10.300 10.300L14 14",
  close: "M4 4l8 8m0-8l-8 8",
  right: "M6 3.500L10.500 8 6 12.500",
  down: "M3.500 6L8 10.500 12.500 6",
  up: "M3.500 10L8 5.500 12.500 10",
  fit: "M2.500 6V2.500H6M10 2.500h3.500V6M13.500 10v3.500H10M6 13.500H2.500V10",
  plus: "M8 3v10M3 8h10",
  minus: "M3 8h10",
  retry: "M13 8a5 5 0 1 1-1.600-3.700M13 2.500v3h-3",
  pause: "M5 3.500v9M11 3.500v9",
  play: "M5 3.500L12 8 5 12.500z",
  check: "M3.500 8.500L6.500 11.500 12.500 4.500",
  stop: "M4 4h8v8H4z",
  archive: "M2.500 3h11v3h-11zM3.500 6v7h9V6M6.500 8.500h3",
  download: "M8 2.500v7.500M4.500 7L8 10.500 11.500 7M3 13.500h10",
  wrap: "M2.500 4h11M2.500 8h9a2 2 0 0 1 0 4H8M9.500 10.300L7.800 12l1.700 1.700M2.500 12h2.500",
  copy: "M5.500 5.500h8v8h-8zM10.500 5.500v-3h-8v8h3",
  sun: "M8 5.200a2.800 2.800 0 1 1 0 5.600a2.800 2.800 0 0 1 0-5.600zM8 1v1.600M8 13.400V15M1 8h1.600M13.400 8H15M3 3l1.100 1.100M11.900 11.900L13 13M13 3l-1.100 1.100M4.100 11.900L3 13",
  moon: "M13 9.800A5.500 5.500 0 0 1 6.200 3a5.500 5.500 0 1 0 6.800 6.800z",
  screen: "M2 3h12v8H2zM6 13.500h4M8 11v2.500",
  collapse: "M4 6.500L8 3l4 3.500M4 9.500L8 13l4-3.500",
  tail: "M8 2.500v7M5 7l3 3 3-3M3 13.500h10",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { readonly name: IconName; readonly size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 16 16" aria-hidden="true" className="icon">
      <path d={PATHS[name]} />
    </svg>
  );
}
