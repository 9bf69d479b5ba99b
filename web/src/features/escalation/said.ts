/** Steps, ways and refusals in words. */
import { Problem, why } from "../../api/client";
import { capital, duration } from "../../ui/words";

const MINUTE_S = 60;

const WAYS: Record<string, string> = { email: "mail", sms: "SMS" };

export function way(channel: string): string {
  return WAYS[channel] ?? channel;
}

/** When a step comes: "At once", "After 5 min". */
export function after(seconds: number): string {
  return seconds === 0 ? "At once" : `After ${span(seconds)}`;
}

export function span(seconds: number): string {
  return duration(seconds * 1000);
}

/** How the people of a step are reached. */
export function how(channels: string[], isAtOnce: boolean): string {
  if (isAtOnce) return "by all their ways at once";
  if (channels.length === 0) return "by their first way that works";
  return `by ${channels.map(way).join(", then ")} first`;
}

export function severities(words: string[]): string {
  return words.length === 0 ? "All severities" : capital(words.join(", "));
}

export function frames(policy: { acknowledge_s: number | null; resolve_s: number | null }): string {
  const said = [
    policy.acknowledge_s !== null && `acknowledge within ${span(policy.acknowledge_s)}`,
    policy.resolve_s !== null && `resolve within ${span(policy.resolve_s)}`,
  ].filter((part) => part !== false);
  return said.length === 0 ? "Time frames follow the severity" : capital(said.join(", "));
}

/** What follows the last step: "2 more rounds, one every 30 min, then everybody". */
export function repeats(
  { repeat, repeat_every_s }: { repeat: number; repeat_every_s: number | null },
  isEverybodyTold: boolean,
): string {
  if (repeat === 0) return isEverybodyTold ? "everybody was told" : "then everybody";
  const every = repeat_every_s === null ? "" : `, one every ${span(repeat_every_s)}`;
  return `${repeat} more ${repeat === 1 ? "round" : "rounds"}${every}${isEverybodyTold ? "" : ", then everybody"}`;
}

/** Why something was not done: "Not saved. Step 2: ends in nobody …". */
export function refusal(error: unknown, not = "Not saved"): string {
  if (!(error instanceof Problem)) return `${not} ${why(error)}`;
  if (error.type === "outdated") return `${not}: somebody changed it since you opened it. Load the page to see theirs.`;
  const step = /^steps\.(\d+)\.\w+: (.*)$/.exec(error.title);
  return step ? `${not}. Step ${Number(step[1]) + 1} ${step[2]}.` : `${not} ${why(error)}`;
}

/** Minutes as somebody typed them, in seconds; null for an empty field, NaN for what is no number. */
export function secondsOf(minutes: string): number | null {
  const text = minutes.trim().replace(",", ".");
  if (text === "") return null;
  return /^\d{1,6}(\.\d+)?$/.test(text) ? Math.round(Number(text) * MINUTE_S) : Number.NaN;
}

export function minutesOf(seconds: number | null): string {
  return seconds === null ? "" : String(seconds / MINUTE_S);
}
