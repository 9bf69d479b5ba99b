/** The only way to the server: typed by its schema, with the write token, and errors as problems. */
import createClient, { type Middleware } from "openapi-fetch";
import { heardServerTime } from "../ui/clock";
import type { components, paths } from "./schema.gen";

export type Shown = components["schemas"];

/** What the server said no with (RFC 9457), or that it did not answer at all. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly type: string,
    readonly title: string,
    readonly detail: string,
    readonly code: string,
    /** How long to wait before the next try, in seconds; 0 when there is nothing to wait for. */
    readonly waitS = 0,
  ) {
    super(title);
  }
}

let csrf = "";

export function rememberCsrf(token: string): void {
  csrf = token;
}

const guard: Middleware = {
  onRequest({ request }) {
    if (request.method !== "GET") request.headers.set("X-Shoal-CSRF", csrf);
    return request;
  },
  onResponse({ response }) {
    heardServerTime(response.headers.get("Date"));
  },
};

export const client = createClient<paths>({ baseUrl: globalThis.location?.origin ?? "" });
client.use(guard);

type Said<Data> = { data?: Data; error?: unknown; response: Response };

/** The data of an answer. Throws a Problem otherwise, so that queries and actions fail alike. */
export async function said<Data>(answer: Promise<Said<Data>>): Promise<Data> {
  let result: Said<Data>;
  try {
    result = await answer;
  } catch {
    throw new Problem(0, "no-connection", "no connection to Shoal", "", "");
  }
  if (!result.response.ok) throw problemOf(result.response.status, result.error);
  return result.data as Data;
}

export function problemOf(status: number, body: unknown): Problem {
  const members = typeof body === "object" && body !== null ? (body as Record<string, unknown>) : {};
  const text = (name: string) => (typeof members[name] === "string" ? members[name] : "");
  const waitS = typeof members.retry_after_s === "number" ? members.retry_after_s : 0;
  return new Problem(status, text("type"), text("title") || `answer ${status}`, text("detail"), text("code"), waitS);
}

/** Why something did not work, as the end of a sentence: "Alerts could not be loaded (…)". */
export function why(error: unknown): string {
  if (!(error instanceof Problem)) return "(this page failed; load it again).";
  switch (error.type.split("/").at(-1)) {
    case "no-connection":
      return "(no connection to Shoal).";
    case "unavailable":
      return "(Shoal's API does not answer).";
    case "not-found":
      return "(there is no such thing, or you may not know of it).";
    case "forbidden":
      return `(${lower(error.title)}).`;
    case "device-refused":
      return `(${error.title}: ${[error.code, error.detail].filter(Boolean).join(" ")}). Nothing changed.`;
    default:
      return `(${[lower(error.title), error.detail].filter(Boolean).join(": ")}).`;
  }
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, "");
}
