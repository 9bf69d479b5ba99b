/** People and policies: what is asked about them, and what is written. */
import { type QueryClient, queryOptions, useMutation, useQueryClient } from "@tanstack/react-query";
import { client, Problem, said } from "./client";
import type { components } from "./schema.gen";

type Written = components["schemas"];

/** A stranger to the question is told so at once. */
const isWorthRetrying = (times: number, error: Error) =>
  times < 1 && error instanceof Problem && (error.status === 0 || error.status >= 503);

export const accessQuery = queryOptions({
  queryKey: ["access"],
  queryFn: () => said(client.GET("/bff/screens/access")),
  retry: isWorthRetrying,
});

/** Whom and where one may ask about: of administrators everybody, of all others themselves. */
export const askableQuery = queryOptions({
  queryKey: ["access", "askable"],
  queryFn: () => said(client.GET("/bff/screens/askable")),
  retry: isWorthRetrying,
});

export type Question = {
  subject?: string | undefined;
  operation?: string | undefined;
  place?: string | undefined;
  path?: string | undefined;
};

export const whyQuery = ({ operation = "read", ...question }: Question) =>
  queryOptions({
    queryKey: ["why", operation, question],
    queryFn: () => said(client.GET("/bff/screens/why", { params: { query: { ...question, operation } } })),
    retry: isWorthRetrying,
  });

export const previewQuery = (policy: Written["AccessPolicyWritten"], replaces: string | undefined) =>
  queryOptions({
    queryKey: ["access", "preview", policy, replaces],
    queryFn: () =>
      said(client.POST("/bff/actions/access-policies/preview", { params: { query: { replaces } }, body: policy })),
    enabled: policy.operations.length > 0 && policy.paths?.length !== 0,
    retry: false,
  });

const renew = (queries: QueryClient) =>
  Promise.all(["access", "why", "me"].map((key) => queries.invalidateQueries({ queryKey: [key] })));

function useWrite<Asked, Answer>(write: (asked: Asked) => Promise<Answer>) {
  const queries = useQueryClient();
  return useMutation({ mutationFn: write, onSettled: () => renew(queries) });
}

export type Seen = { id: string; version: number };

export const useWriteSentence = () =>
  useWrite(({ seen, body }: { seen: Seen | null; body: Written["AccessPolicyWritten"] }) =>
    said(
      seen
        ? client.PUT("/bff/actions/access-policies/{policy_id}", {
            params: { path: { policy_id: seen.id }, query: { seen: seen.version } },
            body,
          })
        : client.POST("/bff/actions/access-policies", { body }),
    ),
  );

export const useRemoveSentence = () =>
  useWrite((seen: Seen) =>
    said(
      client.DELETE("/bff/actions/access-policies/{policy_id}", {
        params: { path: { policy_id: seen.id }, query: { seen: seen.version } },
      }),
    ),
  );

export const useAddPerson = () =>
  useWrite((body: Written["NewPersonWritten"]) => said(client.POST("/bff/actions/people", { body })));

export const useChangePerson = () =>
  useWrite(({ id, body }: { id: string; body: Written["PersonWritten"] }) =>
    said(client.PUT("/bff/actions/people/{person_id}", { params: { path: { person_id: id } }, body })),
  );
