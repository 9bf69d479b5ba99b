/** What people write down about who is told. Each write says which version it has seen. */
import { type QueryClient, useMutation, useQueryClient } from "@tanstack/react-query";
import { client, said } from "./client";
import type { components } from "./schema.gen";

type Written = components["schemas"];

/** What is shown of it, and what alerts say of who is next. */
const renew = (queries: QueryClient) =>
  Promise.all(["escalation", "rehearsal", "alert"].map((key) => queries.invalidateQueries({ queryKey: [key] })));

function useWrite<Asked, Answer>(write: (asked: Asked) => Promise<Answer>) {
  const queries = useQueryClient();
  return useMutation({ mutationFn: write, onSettled: () => renew(queries) });
}

/** Something that exists, as it was read. */
export type Seen = { id: string; version: number };
const seenBy = (seen: Seen) => ({ query: { seen: seen.version } });

export const useWritePolicy = () =>
  useWrite(({ seen, body }: { seen: Seen | null; body: Written["PolicyWritten"] }) =>
    said(
      seen
        ? client.PUT("/bff/actions/policies/{policy_id}", {
            params: { path: { policy_id: seen.id }, ...seenBy(seen) },
            body,
          })
        : client.POST("/bff/actions/policies", { body }),
    ),
  );

export const useRemovePolicy = () =>
  useWrite((seen: Seen) =>
    said(
      client.DELETE("/bff/actions/policies/{policy_id}", {
        params: { path: { policy_id: seen.id }, ...seenBy(seen) },
      }),
    ),
  );

export const useOrderPolicies = () =>
  useWrite((policies: string[]) => said(client.POST("/bff/actions/policies/order", { body: { policies } })));

export const useWriteContact = () =>
  useWrite(({ seen, body }: { seen: Seen | null; body: Written["ContactWritten"] }) =>
    said(
      seen
        ? client.PUT("/bff/actions/contacts/{contact_id}", {
            params: { path: { contact_id: seen.id }, ...seenBy(seen) },
            body,
          })
        : client.POST("/bff/actions/contacts", { body }),
    ),
  );

export const useRemoveContact = () =>
  useWrite((seen: Seen) =>
    said(
      client.DELETE("/bff/actions/contacts/{contact_id}", {
        params: { path: { contact_id: seen.id }, ...seenBy(seen) },
      }),
    ),
  );

export const useTestContact = () =>
  useWrite((contact: string) =>
    said(client.POST("/bff/actions/contacts/{contact_id}/test", { params: { path: { contact_id: contact } } })),
  );

export const useWriteChannel = () =>
  useWrite(({ seen, body }: { seen: Seen | null; body: Written["ChannelWritten"] }) =>
    said(
      seen
        ? client.PUT("/bff/actions/channels/{channel_id}", {
            params: { path: { channel_id: seen.id }, ...seenBy(seen) },
            body,
          })
        : client.POST("/bff/actions/channels", { body }),
    ),
  );

export const useRotateChannel = () =>
  useWrite((seen: Seen) =>
    said(
      client.POST("/bff/actions/channels/{channel_id}/rotate", {
        params: { path: { channel_id: seen.id }, ...seenBy(seen) },
      }),
    ),
  );

export const useRemoveChannel = () =>
  useWrite((seen: Seen) =>
    said(
      client.DELETE("/bff/actions/channels/{channel_id}", {
        params: { path: { channel_id: seen.id }, ...seenBy(seen) },
      }),
    ),
  );

export const useTestChannel = () =>
  useWrite(({ channel, address = "" }: { channel: string; address?: string }) =>
    said(
      client.POST("/bff/actions/channels/{channel_id}/test", {
        params: { path: { channel_id: channel } },
        body: { address },
      }),
    ),
  );
