/** The time as the server has it, ticking for all who show ages. One timer for the whole page. */
import { useSyncExternalStore } from "react";

const TICK_MS = 1000;
/** The Date header has whole seconds; less than this is noise. */
const OFFSET_MS_MIN = 2000;

let offsetMs = 0;
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

/** A server answered at this moment of its own clock. */
export function heardServerTime(header: string | null): void {
  const server = header ? Date.parse(header) : Number.NaN;
  if (Number.isNaN(server)) return;
  const difference = server - Date.now();
  offsetMs = Math.abs(difference) < OFFSET_MS_MIN ? 0 : difference;
}

export function serverNow(): number {
  return Date.now() + offsetMs;
}

/** The time, renewed every so many milliseconds. Ages of minutes need no renewal each second. */
export function useNow(everyMs = 10_000): number {
  return useSyncExternalStore(subscribe, () => Math.floor(serverNow() / everyMs) * everyMs);
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    for (const each of listeners) each();
  }, TICK_MS);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}
