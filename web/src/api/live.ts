/**
 * Changes as they happen. One tab of a browser holds the stream and tells the others; each tab renews what it shows.
 *
 * A stream that says nothing is worse than none: two missed heartbeats make the data stale and the stream anew.
 */
import type { QueryClient } from "@tanstack/react-query";
import { serverNow } from "../ui/clock";
import { type Block, BlockReader } from "./sse";

/** The server's heartbeat is every 15 s; two missed ones and a slow link. */
export const QUIET_MS_MAX = 33_000;
const RETRY_MS_FIRST = 1_000;
/** A server that restarts is back within seconds; a farm's link may take longer, and must not be hammered. */
const RETRY_MS_MAX = 30_000;
/** What one event changed on the page in front is renewed at once, sums and lists in a bundle. */
const NEAR_MS = 400;
const FAR_MS = 5_000;

export type Stream =
  | { state: "connecting"; heardAt: number | null }
  | { state: "live"; heardAt: number }
  | { state: "reconnecting"; heardAt: number | null; retryAt: number };

type Told = { kind: "block"; block: Block } | { kind: "stream"; stream: Stream };

export class Live {
  private stream: Stream = { state: "connecting", heardAt: null };
  private readonly listeners = new Set<() => void>();
  private readonly channel = new BroadcastChannel("shoal-live");
  private readonly ending = new AbortController();
  private readonly dirty = new Renewal();
  private connection: AbortController | null = null;
  private wake: (() => void) | null = null;
  private after: string | null = null;

  constructor(
    private readonly queries: QueryClient,
    private readonly onLoggedOut: () => void,
  ) {
    this.channel.onmessage = (message: MessageEvent<Told>) => this.hear(message.data);
    const hurry = () => {
      if (document.visibilityState === "visible") this.hurry();
    };
    addEventListener("online", hurry, { signal: this.ending.signal });
    document.addEventListener("visibilitychange", hurry, { signal: this.ending.signal });
    void this.lead();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly current = (): Stream => this.stream;

  close(): void {
    this.ending.abort();
    this.connection?.abort();
    this.wake?.();
    this.channel.close();
    this.dirty.stop();
  }

  /** Waits for its turn, then holds the stream for all tabs. Without locks (plain HTTP from afar) each holds its own. */
  private async lead(): Promise<void> {
    const hold = () => this.hold();
    try {
      if (navigator.locks) await navigator.locks.request("shoal-live", { signal: this.ending.signal }, hold);
      else await hold();
    } catch (error) {
      if (!this.ending.signal.aborted) throw error;
    }
  }

  private async hold(): Promise<void> {
    let failures = 0;
    while (!this.ending.signal.aborted) {
      const began = Date.now();
      await this.connect();
      if (this.ending.signal.aborted) return;
      failures = Date.now() - began > RETRY_MS_MAX ? 0 : failures + 1;
      const wait = Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** (failures - 1));
      this.tell({
        kind: "stream",
        stream: { state: "reconnecting", heardAt: this.stream.heardAt, retryAt: Date.now() + wait },
      });
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, wait);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  private async connect(): Promise<void> {
    const connection = new AbortController();
    this.connection = connection;
    let watchdog = setTimeout(() => connection.abort(), QUIET_MS_MAX);
    try {
      const query = this.after ? `?after=${encodeURIComponent(this.after)}` : "";
      const answer = await fetch(`/bff/live${query}`, {
        signal: connection.signal,
        headers: { Accept: "text/event-stream", ...(this.after ? { "Last-Event-ID": this.after } : {}) },
        cache: "no-store",
      });
      if (answer.status === 401) return this.onLoggedOut();
      if (!answer.ok || !answer.body) return;
      const reader = new BlockReader();
      const text = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await text.read();
        if (done) return;
        clearTimeout(watchdog);
        watchdog = setTimeout(() => connection.abort(), QUIET_MS_MAX);
        this.tell({ kind: "stream", stream: { state: "live", heardAt: serverNow() } });
        for (const block of reader.read(value)) this.tell({ kind: "block", block });
      }
    } catch {
      // The link broke, or the watchdog cut it; the caller tries again.
    } finally {
      clearTimeout(watchdog);
    }
  }

  /** Somebody looks again, or the network is back: do not wait for the next try. */
  private hurry(): void {
    if (this.stream.state === "reconnecting") this.wake?.();
    else if (this.stream.heardAt !== null && serverNow() - this.stream.heardAt > QUIET_MS_MAX) this.connection?.abort();
  }

  private tell(told: Told): void {
    this.channel.postMessage(told);
    this.hear(told);
  }

  private hear(told: Told): void {
    if (told.kind === "stream") {
      const was = this.stream.state;
      this.stream = told.stream;
      // What happened while nobody listened comes again by its id; sums are asked for anew to be sure.
      if (was === "reconnecting" && told.stream.state === "live") this.dirty.all(this.queries);
      for (const each of this.listeners) each();
      return;
    }
    if (told.block.id !== null) this.after = told.block.id;
    if (told.block.event === "reset") this.dirty.all(this.queries);
    else if (told.block.event !== "") this.apply(told.block);
  }

  private apply(block: Block): void {
    const change = changeOf(block);
    const { near, far } = touched(change);
    this.dirty.add(this.queries, near, NEAR_MS);
    this.dirty.add(this.queries, far, FAR_MS);
  }
}

export type Change = { type: string; device?: string; farm?: string; alert?: string };

export function changeOf(block: Block): Change {
  try {
    const data: unknown = JSON.parse(block.data);
    return typeof data === "object" && data !== null ? { ...data, type: block.event } : { type: block.event };
  } catch {
    return { type: block.event };
  }
}

/** Which queries a change touches: those to renew at once, and sums and lists that can wait some seconds. */
export function touched(change: Change): { near: string[][]; far: string[][] } {
  const device = change.device ? [["device", change.device]] : [];
  const farm = change.farm ? [["farm", change.farm]] : [["farm"]];
  switch (change.type) {
    case "alert":
      return {
        near: [["alerts"], ...(change.alert ? [["alert", change.alert]] : []), ["frame"], ...device],
        far: [["fleet"], ...farm],
      };
    case "status":
    case "registration":
    case "place":
      return { near: device, far: [["fleet"], ["devices"], ...farm] };
    case "readings":
      return { near: [], far: device };
    case "command":
      return { near: [...device, ["command"]], far: [] };
    case "update":
      return { near: change.device ? [["device", change.device, "updates"]] : [], far: device };
    case "security":
      // A stranger that an authority vouches for waits for approval a moment later.
      return { near: [["security"], ...device], far: [["trust"]] };
    case "pipeline":
      return { near: [["frame"]], far: [["fleet"]] };
    default:
      return { near: device, far: [] };
  }
}

/** Bundles renewals, so that a farm that comes back does not ask for the same sums forty times. */
class Renewal {
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>();

  add(queries: QueryClient, keys: string[][], afterMs: number): void {
    for (const queryKey of keys) {
      const name = `${afterMs} ${queryKey.join(" ")}`;
      if (this.timers.has(name)) continue;
      this.timers.set(
        name,
        setTimeout(() => {
          this.timers.delete(name);
          void queries.invalidateQueries({ queryKey });
        }, afterMs),
      );
    }
  }

  all(queries: QueryClient): void {
    void queries.invalidateQueries({ predicate: (query) => query.queryKey[0] !== "me" });
  }

  stop(): void {
    for (const timer of this.timers.values()) clearTimeout(timer);
    this.timers.clear();
  }
}
