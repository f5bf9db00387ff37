import { fileURLToPath, URL } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Where `headrace up` listens, for `npm run dev`.
const server = process.env.HEADRACE_SERVER ?? "http://127.0.0.1:8090";

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: "../src/headrace/server/static",
    emptyOutDir: true,
    target: ["chrome125", "firefox128", "safari17.5"],
    // Data URLs would need a looser content security policy.
    assetsInlineLimit: 0,
    manifest: true,
    sourcemap: false,
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
  server: { proxy: { "/api": server, "/apis": server } },
});
