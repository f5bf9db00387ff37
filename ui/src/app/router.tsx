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
import { ErrorPage, NotFoundPage } from "./error-pages";
import { runIdFromKfpLink } from "./kfp-links";
import { Layout } from "./layout";
import { queryClient } from "./query-client";

const root = createRootRoute({
  component: Layout,
  notFoundComponent: NotFoundPage,
  errorComponent: ErrorPage,
});

const index = createRoute({
  getParentRoute: () => root,
  path: "/",
  beforeLoad: ({ location }) => {
    const runId = runIdFromKfpLink(location.hash);
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
  // Starts the request while the page's code loads. The page itself shows the answer or the error.
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

const sessions = createRoute({
  getParentRoute: () => root,
  path: "/sessions",
  component: lazyRouteComponent(() => import("@/features/sessions/page"), "SessionsPage"),
});

export const router = createRouter({
  routeTree: root.addChildren([index, runs, run, code, sessions]),
  defaultPreload: "intent",
  defaultPreloadStaleTime: 0,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
