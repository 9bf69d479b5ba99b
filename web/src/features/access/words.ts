/** The words of policies, and what somebody typed as paths. */

/** Operations in the order in which people think of them, with the word for each. */
export const OPERATIONS = [
  ["read", "read"],
  ["observe", "observe"],
  ["discover", "discover"],
  ["write", "write"],
  ["execute", "execute"],
  ["create", "create"],
  ["delete", "delete"],
  ["update_firmware", "update firmware and models"],
  ["acknowledge", "acknowledge and resolve alerts"],
  ["administer", "administer"],
] as const;

/** What another server of a device may be allowed; to observe and to discover come with to read. */
const OF_SERVERS: readonly string[] = ["read", "write", "execute", "create", "delete"];

export function isOfServers(who: string): boolean {
  return who.startsWith("server:");
}

/** The operations that mean something of somebody, with the word for each. */
export function operationsOf(who: string): readonly (readonly [string, string])[] {
  return isOfServers(who) ? OPERATIONS.filter(([value]) => OF_SERVERS.includes(value)) : OPERATIONS;
}

export const ROLES = ["viewer", "technician", "operator", "administrator", "integrator"] as const;

export const BEARINGS: Record<string, string> = {
  denies: "denies it",
  allows: "allows it",
  "other-operation": "is about something else to do",
  "other-place": "is about another place",
  "other-path": "is about other paths",
};

/** Paths as somebody typed them, one after the other; nothing typed is everything. */
export function pathsOf(text: string): string[] {
  const paths = text.split(/[\s,]+/).filter((path) => path !== "");
  return paths.length > 0 ? paths : ["*"];
}

/** What a change would mean for people, in one sentence. */
export function balance(gain: number, lose: number): string {
  const people = (count: number) => (count === 1 ? "1 person" : `${count} people`);
  if (gain === 0 && lose === 0) return "Nobody gains or loses anything by it now.";
  const parts = [
    gain > 0 && `${people(gain)} ${gain === 1 ? "gains" : "gain"}`,
    lose > 0 && `${people(lose)} ${lose === 1 ? "loses" : "lose"}`,
  ];
  return `${parts.filter(Boolean).join(", ")}.`;
}

export function heldAt(places: { name: string }[]): string {
  return places.length === 0 ? "everywhere" : `at ${places.map((place) => place.name).join("; ")}`;
}
