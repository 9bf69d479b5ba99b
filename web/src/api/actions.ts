/** What people do. Each action renews what it changed, and nothing else. */
import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { client, type Shown, said } from "./client";
import { type Found, foundQuery, meQuery } from "./queries";

type Json = string | number | boolean | null | { [name: string]: Json } | Json[];

const renew = (queries: QueryClient, ...keys: string[][]) =>
  Promise.all(keys.map((queryKey) => queries.invalidateQueries({ queryKey })));

const afterAlert = (queries: QueryClient, alert: string) =>
  renew(queries, ["alerts"], ["alert", alert], ["fleet"], ["frame"], ["farm"], ["device"]);

/** Why this person may not do this anywhere, or null when they may. The server decides; this only says it early. */
export function useBlockedBy(operation: string): string | null {
  const { data } = useQuery(meQuery);
  if (!data || data.may.includes(operation)) return null;
  if (data.role === "viewer") return "Viewers may look, but not change anything.";
  return `Your role, ${data.role}, does not allow this.`;
}

export function useAcknowledge() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ alert, note = "" }: { alert: string; note?: string }) =>
      said(
        client.POST("/bff/actions/alerts/{alert_id}/acknowledge", {
          params: { path: { alert_id: alert } },
          body: { note },
        }),
      ),
    onSettled: (_data, _error, { alert }) => afterAlert(queries, alert),
  });
}

export function useResolve() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ alert, note }: { alert: string; note: string }) =>
      said(
        client.POST("/bff/actions/alerts/{alert_id}/resolve", {
          params: { path: { alert_id: alert } },
          body: { note },
        }),
      ),
    onSettled: (_data, _error, { alert }) => afterAlert(queries, alert),
  });
}

export type Asked =
  | { operation: "read" | "delete" | "discover"; path: string }
  | { operation: "write"; path: string; value: Json }
  | { operation: "write"; path: string; values: Record<string, Json>; partial: boolean }
  | { operation: "execute"; path: string; arguments?: Record<string, string | null> }
  | { operation: "create"; path: string; instance: number | null; resources: Record<string, Json> }
  | { operation: "attributes"; path: string; attributes: Record<string, number | boolean | null> };

/** Asks something of a device. Answers `done`, or `waiting` for the device to wake. */
export function useAskDevice(device: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (asked: Asked) => ask(device, asked),
    onSuccess: (outcome, asked) => {
      if (asked.operation === "discover" && outcome.state === "done") keepFound(queries, device, outcome.value);
      return renew(queries, ["device", device]);
    },
  });
}

export function ask(device: string, asked: Asked) {
  const params = { path: { device_id: device } };
  const { path } = asked;
  switch (asked.operation) {
    case "read":
      return said(client.POST("/bff/actions/devices/{device_id}/read", { params, body: { path } }));
    case "delete":
      return said(client.POST("/bff/actions/devices/{device_id}/delete", { params, body: { path } }));
    case "discover":
      return said(client.POST("/bff/actions/devices/{device_id}/discover", { params, body: { path } }));
    case "write": {
      const body =
        "values" in asked
          ? { path, values: asked.values, partial: asked.partial }
          : { path, value: asked.value, partial: false };
      return said(client.POST("/bff/actions/devices/{device_id}/write", { params, body }));
    }
    case "execute":
      return said(
        client.POST("/bff/actions/devices/{device_id}/execute", {
          params,
          body: { path, arguments: asked.arguments ?? {} },
        }),
      );
    case "create":
      return said(
        client.POST("/bff/actions/devices/{device_id}/create", {
          params,
          body: { path, instance: asked.instance, resources: asked.resources },
        }),
      );
    case "attributes":
      return said(
        client.POST("/bff/actions/devices/{device_id}/attributes", {
          params,
          body: { path, attributes: asked.attributes },
        }),
      );
  }
}

/** What a device said it has, with the attributes that are set, by path: for as long as the page is open. */
export function keepFound(queries: QueryClient, device: string, found: unknown): void {
  if (typeof found !== "object" || found === null) return;
  queries.setQueryData(foundQuery(device).queryKey, (before) => ({ ...before, ...(found as Found) }));
}

/** Has a device report a path by itself, or not; null: as its profile says. */
export function useObserve(device: string) {
  const queries = useQueryClient();
  const params = { path: { device_id: device } };
  return useMutation({
    mutationFn: async (asked: {
      path: string;
      observe: boolean | null;
      attributes: Record<string, number | boolean>;
      version: number;
    }) => {
      const { path, observe, attributes, version } = asked;
      if (observe !== null) {
        const body = { path, observe, attributes, version };
        await said(client.POST("/bff/actions/devices/{device_id}/observe", { params, body }));
      } else if (version > 0) {
        await said(client.POST("/bff/actions/devices/{device_id}/unobserve", { params, body: { path, version } }));
      }
    },
    onSettled: () => renew(queries, ["device", device]),
  });
}

export function useCancelCommand(device: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (command: string) =>
      said(client.POST("/bff/actions/commands/{command_id}/cancel", { params: { path: { command_id: command } } })),
    onSettled: (_data, _error, command) => renew(queries, ["device", device], ["command", command]),
  });
}

export function useSettleClaim(device: string) {
  const queries = useQueryClient();
  const params = { path: { device_id: device } };
  return useMutation({
    mutationFn: (verb: "accept" | "keep") =>
      said(
        verb === "accept"
          ? client.POST("/bff/actions/devices/{device_id}/accept-claim", { params })
          : client.POST("/bff/actions/devices/{device_id}/refuse-claim", { params }),
      ),
    onSettled: () => renew(queries, ["device", device], ["devices"], ["farm"], ["fleet"]),
  });
}

export type NewDeviceAsked = Required<Shown["DeviceAsked"]>;

/** The key travels in the body: addresses are written down in logs. */
export function useAddDevice() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: NewDeviceAsked) => said(client.POST("/bff/actions/devices", { body })),
    onSuccess: () => renew(queries, ["devices"], ["farm"], ["fleet"]),
    // Neither the key that was sent nor the one that was made is remembered once the page is gone.
    gcTime: 0,
  });
}

export type CredentialAsked = Required<Shown["CredentialAsked"]>;

export function useNewCredential(device: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: CredentialAsked) =>
      said(
        client.POST("/bff/actions/devices/{device_id}/credentials", { params: { path: { device_id: device } }, body }),
      ),
    onSettled: () => renew(queries, ["device", device], ["ending"]),
    gcTime: 0,
  });
}

export function useApproveCredential(device: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ credential, enclosure }: { credential: string; enclosure: string | null }) =>
      said(
        client.POST("/bff/actions/devices/{device_id}/credentials/{credential_id}/approve", {
          params: { path: { device_id: device, credential_id: credential } },
          body: { enclosure },
        }),
      ),
    onSettled: () => renew(queries, ["device", device], ["ending"]),
  });
}

export function useRevokeCredential(device: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ credential, last }: { credential: string; last: boolean }) =>
      said(
        client.POST("/bff/actions/devices/{device_id}/credentials/{credential_id}/revoke", {
          params: { path: { device_id: device, credential_id: credential } },
          body: { last },
        }),
      ),
    onSettled: () => renew(queries, ["device", device], ["ending"]),
  });
}

export type Delivery = "automatic" | "pull" | "push";

export function useStartUpdate(device: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: { artifact: string; delivery: Delivery }) =>
      said(client.POST("/bff/actions/devices/{device_id}/update", { params: { path: { device_id: device } }, body })),
    onSettled: () => renew(queries, ["device", device]),
  });
}

export function useRollBack(device: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (update: string) =>
      said(
        client.POST("/bff/actions/devices/{device_id}/updates/{update_id}/roll-back", {
          params: { path: { device_id: device, update_id: update } },
        }),
      ),
    onSettled: () => renew(queries, ["device", device]),
  });
}

export function useCancelUpdate(device: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (update: string) =>
      said(
        client.POST("/bff/actions/devices/{device_id}/updates/{update_id}/cancel", {
          params: { path: { device_id: device, update_id: update } },
        }),
      ),
    onSettled: () => renew(queries, ["device", device]),
  });
}

export function useLogOut() {
  return useMutation({ mutationFn: () => said(client.POST("/bff/logout")) });
}

export function useJoin() {
  return useMutation({
    mutationFn: (body: { secret: string; name: string; email: string; password: string }) =>
      said(client.POST("/bff/join", { body })),
  });
}

export function useLogIn() {
  return useMutation({
    mutationFn: (body: { email: string; password: string }) => said(client.POST("/bff/login", { body })),
  });
}
