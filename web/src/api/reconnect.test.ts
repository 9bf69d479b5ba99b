import { QueryClient } from "@tanstack/react-query";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Live, QUIET_MS_MAX } from "./live";

/** The server's side of a stream: what was asked, and a way to answer it. */
class Server {
  readonly asked: { url: string; after: string | null }[] = [];
  private stream: ReadableStreamDefaultController<Uint8Array> | null = null;
  isAway = false;
  status = 200;

  readonly fetch = async (url: string, init: RequestInit): Promise<Response> => {
    this.asked.push({ url, after: new Headers(init.headers).get("Last-Event-ID") });
    if (this.isAway) throw new TypeError("Failed to fetch");
    if (this.status !== 200) return new Response(null, { status: this.status });
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => {
        this.stream = controller;
        init.signal?.addEventListener("abort", () => controller.error(new DOMException("cut", "AbortError")));
      },
    });
    return new Response(body);
  };

  async says(text: string): Promise<void> {
    this.stream?.enqueue(new TextEncoder().encode(text));
    await vi.advanceTimersByTimeAsync(0);
  }

  async ends(): Promise<void> {
    this.stream?.close();
    await vi.advanceTimersByTimeAsync(0);
  }
}

let server: Server;
let queries: QueryClient;
let live: Live;
let loggedOut: ReturnType<typeof vi.fn<() => void>>;

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"] });
  server = new Server();
  vi.stubGlobal("fetch", server.fetch);
  queries = new QueryClient();
  loggedOut = vi.fn<() => void>();
});

afterEach(() => {
  live.close();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

async function begin(): Promise<void> {
  live = new Live(queries, loggedOut);
  await vi.advanceTimersByTimeAsync(0);
}

it("is live from the first thing it hears, heartbeats included", async () => {
  await begin();
  expect(live.current().state).toBe("connecting");

  await server.says(": heartbeat\n\n");

  expect(live.current().state).toBe("live");
});

it("goes on where it was: a new connection names the last change it heard", async () => {
  await begin();
  await server.says('id: 1-41\nevent: status\ndata: {"device":"dev-1"}\n\n');
  await server.ends();
  expect(live.current().state).toBe("reconnecting");

  await vi.advanceTimersByTimeAsync(1_000);

  expect(server.asked.map((each) => each.after)).toEqual([null, "1-41"]);
  expect(server.asked[1]?.url).toBe("/bff/live?after=1-41");
});

it("tries less and less often while nobody answers, and not less than every half minute", async () => {
  server.isAway = true;
  await begin();
  const tries: number[] = [];
  for (let second = 0; second < 125; second += 1) {
    const before = server.asked.length;
    await vi.advanceTimersByTimeAsync(1_000);
    if (server.asked.length > before) tries.push(second + 1);
  }

  expect(tries).toEqual([1, 3, 7, 15, 31, 61, 91, 121]);
});

it("takes a stream that says nothing for dead, and opens another", async () => {
  await begin();
  await server.says(": heartbeat\n\n");

  await vi.advanceTimersByTimeAsync(QUIET_MS_MAX - 1);
  expect(server.asked).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1_002);

  expect(server.asked).toHaveLength(2);
});

it("asks for everything anew once it is connected again, because sums may have changed meanwhile", async () => {
  const renewed = vi.spyOn(queries, "invalidateQueries");
  await begin();
  await server.says(": heartbeat\n\n");
  expect(renewed).not.toHaveBeenCalled();

  await server.ends();
  await vi.advanceTimersByTimeAsync(1_000);
  await server.says(": connected\n\n");

  expect(renewed).toHaveBeenCalledTimes(1);
});

it("bundles what forty devices of a farm say at once into one question for its sums", async () => {
  const renewed = vi.spyOn(queries, "invalidateQueries");
  await begin();
  for (let number = 0; number < 40; number += 1) {
    await server.says(`event: status\ndata: {"device":"dev-${number}","farm":"frm-1"}\n\n`);
  }
  await vi.advanceTimersByTimeAsync(5_000);

  const asked = renewed.mock.calls.map(([filter]) => filter?.queryKey?.[0]);
  expect(asked.filter((key) => key === "fleet")).toHaveLength(1);
  expect(asked.filter((key) => key === "device")).toHaveLength(40);
});

it("stops when the login has ended", async () => {
  server.status = 401;

  await begin();

  expect(loggedOut).toHaveBeenCalledTimes(1);
});
