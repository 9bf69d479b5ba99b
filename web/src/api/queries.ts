/** What the screens ask for. State that belongs to the server lives here and nowhere else. */
import { infiniteQueryOptions, keepPreviousData, queryOptions, skipToken } from "@tanstack/react-query";
import { client, Problem, rememberCsrf, said } from "./client";
import type { paths } from "./schema.gen";

export type Range = NonNullable<
  NonNullable<paths["/bff/screens/devices/{device_id}/readings"]["get"]["parameters"]["query"]>["range"]
>;
export type DeviceFilter = {
  farm?: string | undefined;
  status?: "new" | "healthy" | "degraded" | "failing" | "silent" | undefined;
  kind?: string | undefined;
  q?: string | undefined;
};

const at = (device: string) => ({ path: { device_id: device } });

export const meQuery = queryOptions({
  queryKey: ["me"],
  queryFn: async () => {
    const me = await said(client.GET("/bff/me"));
    rememberCsrf(me.csrf);
    return me;
  },
  staleTime: Number.POSITIVE_INFINITY,
});

/** What a link invites to. It is asked with the secret in the body: addresses are written down in logs. */
export const invitationQuery = (secret: string) =>
  queryOptions({
    queryKey: ["invitation", secret],
    queryFn: () => said(client.POST("/bff/invitation", { body: { secret } })),
    retry: false,
    refetchOnWindowFocus: false,
  });

export const frameQuery = queryOptions({
  queryKey: ["frame"],
  queryFn: () => said(client.GET("/bff/screens/frame")),
});

export const fleetQuery = queryOptions({
  queryKey: ["fleet"],
  queryFn: () => said(client.GET("/bff/screens/fleet")),
});

export const farmQuery = (farm: string) =>
  queryOptions({
    queryKey: ["farm", farm],
    queryFn: () => said(client.GET("/bff/screens/farms/{farm_id}", { params: { path: { farm_id: farm } } })),
  });

export const devicesQuery = (filter: DeviceFilter) =>
  infiniteQueryOptions({
    queryKey: ["devices", filter],
    queryFn: ({ pageParam }) =>
      said(client.GET("/bff/screens/devices", { params: { query: { ...filter, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
  });

export const deviceQuery = (device: string) =>
  queryOptions({
    queryKey: ["device", device],
    queryFn: () => said(client.GET("/bff/screens/devices/{device_id}", { params: at(device) })),
  });

export const objectsQuery = (device: string) =>
  queryOptions({
    queryKey: ["device", device, "objects"],
    queryFn: () => said(client.GET("/bff/screens/devices/{device_id}/objects", { params: at(device) })),
  });

export type Found = Record<string, Record<string, string | boolean>>;

/** What a device said it has when it was asked (Discover), by path. Nothing fetches it by itself. */
export const foundQuery = (device: string) =>
  queryOptions<Found>({
    queryKey: ["found", device],
    queryFn: skipToken,
    gcTime: Number.POSITIVE_INFINITY,
    staleTime: Number.POSITIVE_INFINITY,
  });

export const searchQuery = (q: string) =>
  queryOptions({
    queryKey: ["search", q],
    queryFn: () => said(client.GET("/bff/screens/search", { params: { query: { q } } })),
    enabled: q !== "",
    placeholderData: keepPreviousData,
  });

export const readingsQuery = (device: string, path: string, range: Range, points: number) =>
  queryOptions({
    queryKey: ["device", device, "readings", path, range, points],
    queryFn: () =>
      said(
        client.GET("/bff/screens/devices/{device_id}/readings", {
          params: { ...at(device), query: { path, range, points } },
        }),
      ),
    placeholderData: keepPreviousData,
  });

export const timelineQuery = (device: string) =>
  infiniteQueryOptions({
    queryKey: ["device", device, "timeline"],
    queryFn: ({ pageParam }) =>
      said(
        client.GET("/bff/screens/devices/{device_id}/timeline", {
          params: { ...at(device), query: { cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
  });

export const updatesQuery = (device: string) =>
  queryOptions({
    queryKey: ["device", device, "updates"],
    queryFn: () => said(client.GET("/bff/screens/devices/{device_id}/updates", { params: at(device) })),
  });

export const commandQuery = (command: string) =>
  queryOptions({
    queryKey: ["command", command],
    queryFn: () =>
      said(client.GET("/bff/screens/commands/{command_id}", { params: { path: { command_id: command } } })),
  });

export type AuditFilter = { by?: string | undefined; thing?: string | undefined; resource?: string | undefined };

export const auditQuery = (filter: AuditFilter) =>
  infiniteQueryOptions({
    queryKey: ["audit", filter],
    queryFn: ({ pageParam }) =>
      said(client.GET("/bff/screens/audit", { params: { query: { ...filter, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
    // Who may not look is told so at once.
    retry: (times, error) => times < 2 && !(error instanceof Problem && error.status === 403),
  });

export type SecurityFilter = {
  q?: string | undefined;
  reason?: string | undefined;
  address?: string | undefined;
  device?: string | undefined;
  subject?: string | undefined;
};

export const securityQuery = (filter: SecurityFilter) =>
  infiniteQueryOptions({
    queryKey: ["security", filter],
    queryFn: ({ pageParam }) =>
      said(client.GET("/bff/screens/security", { params: { query: { ...filter, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
  });

export const placesQuery = queryOptions({
  queryKey: ["places"],
  queryFn: () => said(client.GET("/bff/screens/places")),
});

/** Live changes tell of what is known; a stranger that may be this device is only looked for. */
const ARRIVAL_MS = 5_000;

export const arrivalQuery = (device: string) =>
  queryOptions({
    queryKey: ["device", device, "arrival"],
    queryFn: () => said(client.GET("/bff/screens/devices/{device_id}/arrival", { params: at(device) })),
    refetchInterval: (query) => (query.state.data?.reading_at ? false : ARRIVAL_MS),
  });

export const credentialsQuery = (device: string) =>
  queryOptions({
    queryKey: ["device", device, "credentials"],
    queryFn: () => said(client.GET("/bff/screens/devices/{device_id}/credentials", { params: at(device) })),
  });

/** Days matter here, not minutes. */
const ENDING_FRESH_MS = 10 * 60_000;

export const endingQuery = infiniteQueryOptions({
  queryKey: ["ending"],
  queryFn: ({ pageParam }) =>
    said(client.GET("/bff/screens/credentials", { params: { query: { cursor: pageParam } } })),
  initialPageParam: undefined as string | undefined,
  getNextPageParam: (page) => page.next ?? undefined,
  staleTime: ENDING_FRESH_MS,
});

export const alertsQuery = (state: "open" | "resolved", farm: string | undefined) =>
  infiniteQueryOptions({
    queryKey: ["alerts", state, farm],
    queryFn: ({ pageParam }) =>
      said(client.GET("/bff/screens/alerts", { params: { query: { state, farm, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
  });

export const alertQuery = (alert: string) =>
  queryOptions({
    queryKey: ["alert", alert],
    queryFn: () => said(client.GET("/bff/screens/alerts/{alert_id}", { params: { path: { alert_id: alert } } })),
  });

/** A message that is under way is looked after until its end is known. */
const UNDER_WAY_MS = 1_000;

export const escalationQuery = queryOptions({
  queryKey: ["escalation"],
  queryFn: () => said(client.GET("/bff/screens/escalation")),
  refetchInterval: (query) =>
    query.state.data?.channels.some((channel) => channel.latest?.is_under_way) ? UNDER_WAY_MS : false,
});

export type Severity = "critical" | "high" | "warning" | "informational";

export const rehearsalQuery = (severity: Severity, place: string | undefined) =>
  queryOptions({
    queryKey: ["rehearsal", severity, place],
    queryFn: () => said(client.GET("/bff/screens/escalation/rehearsal", { params: { query: { severity, place } } })),
    placeholderData: keepPreviousData,
  });
