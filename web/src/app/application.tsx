/** The application: its cache, its live changes, its pages. */
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { Problem } from "../api/client";
import { meQuery } from "../api/queries";
import { makeRouter } from "./router";

/** Without a stream (it reconnects by itself) this is the oldest a page gets while somebody looks at it. */
const FRESH_MS = 60_000;

function toLogin(error: unknown): void {
  const here = router.state.location;
  if (!(error instanceof Problem) || error.status !== 401 || here.pathname === "/login") return;
  queries.clear();
  void router.navigate({ to: "/login", search: { next: here.href, ended: true } });
}

const queries = new QueryClient({
  queryCache: new QueryCache({
    // Who asks who they are and is nobody yet was not logged out: the router shows them the way in.
    onError: (error, query) => query.queryKey[0] !== meQuery.queryKey[0] && toLogin(error),
  }),
  mutationCache: new MutationCache({ onError: toLogin }),
  defaultOptions: {
    queries: {
      staleTime: FRESH_MS,
      retry: (failures, error) =>
        failures < 1 && error instanceof Problem && (error.status === 0 || error.status >= 503),
    },
  },
});
const router = makeRouter(queries);

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}

export function Application() {
  return (
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  );
}
