// Fails when a page needs more JavaScript for its first paint than the budget allows (gzip, workers included).
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const BUDGET_KB = 200;
const root = new URL("../../src/headrace/server/static", import.meta.url).pathname;
const manifestPath = join(root, ".vite/manifest.json");
if (!existsSync(manifestPath)) {
  console.error("error: the UI is not built. Run: npm run build");
  process.exit(1);
}
const manifest = JSON.parse(readFileSync(manifestPath, "utf8"));

// A page: the entry, its own lazy route chunk, and what those import statically.
const pages = { "/runs": ["src/features/runs/page.tsx"], "/runs/$runId": ["src/features/run/page.tsx"] };
const workers = { "/runs/$runId": /layout\.worker.*\.js$/ };
const gzip = (file) => gzipSync(readFileSync(join(root, file)), { level: 9 }).length;

function reachable(key, seen) {
  if (seen.has(key)) return;
  seen.add(key);
  const chunk = manifest[key];
  if (!chunk) throw new Error(`the build has no chunk ${key}: the pages in scripts/size.mjs are out of date`);
  for (const next of chunk.imports ?? []) reachable(next, seen);
}

let failed = false;
for (const [page, keys] of Object.entries(pages)) {
  const chunks = new Set();
  for (const key of ["index.html", ...keys]) reachable(key, chunks);
  const names = [...chunks].map((key) => manifest[key].file).filter((file) => file.endsWith(".js"));
  if (workers[page])
    names.push(
      ...readdirSync(join(root, "assets"))
        .filter((name) => workers[page].test(name))
        .map((name) => `assets/${name}`),
    );
  const size = names.reduce((sum, file) => sum + gzip(file), 0) / 1000;
  const over = size > BUDGET_KB;
  failed ||= over;
  console.log(
    `${page.padEnd(16)} ${size.toFixed(1).padStart(7)} kB gzip of ${BUDGET_KB} ${over ? "OVER" : "ok"} (${names.length} files)`,
  );
}
const all = readdirSync(join(root, "assets")).filter((name) => name.endsWith(".js"));
console.log(
  `${"everything".padEnd(16)} ${(all.reduce((sum, name) => sum + gzip(`assets/${name}`), 0) / 1000).toFixed(1).padStart(7)} kB gzip`,
);
process.exit(failed ? 1 : 0);
