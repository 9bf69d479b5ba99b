/** Whose certificates let devices in: what is asked about it, and what administrators do. */
import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";
import { client, Problem, said } from "./client";
import type { components } from "./schema.gen";

type Written = components["schemas"];

/** Who may not look is told so at once. */
const isWorthRetrying = (times: number, error: Error) =>
  times < 2 && !(error instanceof Problem && (error.status === 403 || error.status === 404));

export const trustQuery = queryOptions({
  queryKey: ["trust"],
  queryFn: () => said(client.GET("/bff/screens/trust")),
  retry: isWorthRetrying,
});

export const authoritiesQuery = queryOptions({
  queryKey: ["authorities"],
  queryFn: () => said(client.GET("/bff/screens/authorities")),
  retry: isWorthRetrying,
});

export type IssuedFilter = { show?: "soon" | "all" | undefined; q?: string | undefined };

export const authorityQuery = (authority: string, filter: IssuedFilter) =>
  infiniteQueryOptions({
    queryKey: ["authority", authority, filter],
    queryFn: ({ pageParam }) =>
      said(
        client.GET("/bff/screens/authorities/{authority_id}", {
          params: { path: { authority_id: authority }, query: { ...filter, cursor: pageParam } },
        }),
      ),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next ?? undefined,
    placeholderData: keepPreviousData,
    retry: isWorthRetrying,
  });

/** Each of them may change who gets in, and so what is shown of all the others. */
function useWrite<Asked, Answer>(write: (asked: Asked) => Promise<Answer>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: write,
    onSettled: () =>
      Promise.all(
        ["trust", "authorities", "authority", "device", "ending"].map((key) =>
          queries.invalidateQueries({ queryKey: [key] }),
        ),
      ),
  });
}

const anchorAt = (id: string) => ({ path: { anchor_id: id } });
const authorityAt = (id: string) => ({ path: { authority_id: id } });

export const useAddAnchor = () =>
  useWrite((body: Written["AnchorWritten"]) => said(client.POST("/bff/actions/trust-anchors", { body })));

export const useProveAnchor = () =>
  useWrite(({ id, answer }: { id: string; answer: string }) =>
    said(client.POST("/bff/actions/trust-anchors/{anchor_id}/prove", { params: anchorAt(id), body: { answer } })),
  );

export const useChangeAnchor = () =>
  useWrite(({ id, body }: { id: string; body: Written["AnchorChanged"] }) =>
    said(client.PUT("/bff/actions/trust-anchors/{anchor_id}", { params: anchorAt(id), body })),
  );

export const useRemoveAnchor = () =>
  useWrite((id: string) =>
    said(client.POST("/bff/actions/trust-anchors/{anchor_id}/remove", { params: anchorAt(id) })),
  );

export const useApproveDevice = () =>
  useWrite(({ device, credential, enclosure }: { device: string; credential: string; enclosure: string | null }) =>
    said(
      client.POST("/bff/actions/devices/{device_id}/credentials/{credential_id}/approve", {
        params: { path: { device_id: device, credential_id: credential } },
        body: { enclosure },
      }),
    ),
  );

export const useAddAuthority = () =>
  useWrite((body: Written["AuthorityWritten"]) => said(client.POST("/bff/actions/authorities", { body })));

export const useRollOver = () =>
  useWrite(({ id, under }: { id: string; under: string }) =>
    said(
      client.POST("/bff/actions/authorities/{authority_id}/roll-over", { params: authorityAt(id), body: { under } }),
    ),
  );

export const useRetireAuthority = () =>
  useWrite((id: string) =>
    said(client.POST("/bff/actions/authorities/{authority_id}/retire", { params: authorityAt(id) })),
  );

export type Reason = NonNullable<Written["RevocationWritten"]["reason"]>;

export const useRevokeCertificate = () =>
  useWrite(({ id, reason }: { id: string; reason: Reason }) =>
    said(
      client.POST("/bff/actions/certificates/{certificate_id}/revoke", {
        params: { path: { certificate_id: id } },
        body: { reason },
      }),
    ),
  );
