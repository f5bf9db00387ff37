import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  redirect,
} from "@tanstack/react-router";
import { runQuery } from "@/api/runs";
import { parseRunSearch } from "@/features/run/search";
import { parseListSearch } from "@/features/runs/search";
import { runOfKfpLink } from "./kfp-links";
import { Layout } from "./layout";
import { NotFound, Problem } from "./problem";
import { queryClient } from "./query-client";

const root = createRootRoute({ component: Layout, notFoundComponent: NotFound, errorComponent: Problem });

const home = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: ({ location }) => {
    const runId = runOfKfpLink(location.hash);
    if (runId !== null) throw redirect({ to: "/runs/$runId", params: { runId }, replace: true });
    throw redirect({ to: "/runs", replace: true });
  },
});

const runs = createRoute({
  getParentRoute: () => root,
  path: "/runs",
  validateSearch: parseListSearch,
  component: lazyRouteComponent(() => import("@/features/runs/page"), "RunsPage"),
});

const run = createRoute({
  getParentRoute: () => root,
  path: "/runs/$runId",
  validateSearch: parseRunSearch,
  // Begins the request beside the page's code; the page itself shows what comes of it.
  loader: ({ params }) => {
    void queryClient.prefetchQuery(runQuery(params.runId));
  },
  component: lazyRouteComponent(() => import("@/features/run/page"), "RunPage"),
});

const code = createRoute({
  getParentRoute: () => root,
  path: "/codes/$code",
  component: lazyRouteComponent(() => import("@/features/codes/page"), "CodePage"),
});

export const router = createRouter({
  routeTree: root.addChildren([home, runs, run, code]),
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
