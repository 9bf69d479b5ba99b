/**
 * What a QR code of a device or of a place says.
 *
 * A new device brings its own: `SHOAL:1;ep=oxy-0501;kind=sensor;i=oxy-0501;k=00112233…` (docs/connecting-a-device.md). It
 * holds a key, so it is read here and never becomes an address. A label of ours says where the page of a thing is.
 */

export type DeviceCode = {
  endpoint: string;
  kind: "sensor" | "camera";
  mode: "psk" | "x509";
  identity: string;
  /** Hexadecimal; empty: Shoal makes one. */
  key: string;
  enclosure: string;
  server: string;
};

export type Scanned =
  | { is: "new device"; code: DeviceCode }
  | { is: "device" | "enclosure"; id: string }
  /** No code of ours: perhaps a maker's label that has nothing but the name. */
  | { is: "name"; text: string }
  | { is: "wrong"; why: string };

/** A QR code has room for 4,296 characters at most; ours take a tenth of it. */
const CHARACTERS_MAX = 1_000;
const NAME_CHARACTERS_MAX = 128;
const SCHEME = /^shoal:(\d+);/i;
const KEY = /^(?:[0-9a-f]{2}){8,64}$/i;
const ID = /(?:^|[/#=])(dev|enc)-([0-9a-z]{7,8})(?=$|[/?#&])/gi;

export function scanned(raw: string): Scanned {
  const text = raw.trim();
  if (text === "") return { is: "wrong", why: "The code is empty." };
  if (text.length > CHARACTERS_MAX) return { is: "wrong", why: "The code is too long to be one of a device." };
  const scheme = SCHEME.exec(text);
  if (scheme) return scheme[1] === "1" ? deviceCode(text.slice(scheme[0].length)) : newer(scheme[1]);
  const found = [...text.matchAll(ID)].at(-1);
  if (found?.[1] && found[2]) {
    const prefix = found[1].toLowerCase() as "dev" | "enc";
    return { is: prefix === "dev" ? "device" : "enclosure", id: `${prefix}-${found[2].toUpperCase()}` };
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    return { is: "wrong", why: "The code leads to a page that is none of Shoal." };
  }
  if (text.length > NAME_CHARACTERS_MAX || !isLegible(text)) {
    return { is: "wrong", why: "The code is none of a device that Shoal knows." };
  }
  return { is: "name", text };
}

function newer(version: string | undefined): Scanned {
  return { is: "wrong", why: `The code is of version ${version}; this Shoal reads version 1.` };
}

function deviceCode(fields: string): Scanned {
  const said = new Map<string, string>();
  for (const field of fields.split(";").filter(Boolean)) {
    const [name = "", ...rest] = field.split("=");
    const value = decoded(rest.join("="));
    if (value === null) return { is: "wrong", why: `The code has a broken field "${name}".` };
    said.set(name.toLowerCase(), value);
  }
  const endpoint = said.get("ep") ?? "";
  const kind = said.get("kind") ?? "sensor";
  const mode = said.get("m") ?? "psk";
  const key = (said.get("k") ?? "").replaceAll(/[ :]/g, "").toLowerCase();
  if (endpoint === "" || endpoint.length > NAME_CHARACTERS_MAX || !isLegible(endpoint)) {
    return { is: "wrong", why: "The code does not say the name of the device (ep)." };
  }
  if (kind !== "sensor" && kind !== "camera") {
    return { is: "wrong", why: `The code is of a "${kind}"; Shoal knows sensors and cameras.` };
  }
  if (mode !== "psk" && mode !== "x509") {
    return { is: "wrong", why: `The code asks for "${mode}"; Shoal knows psk and x509.` };
  }
  if (key !== "" && !KEY.test(key)) {
    return { is: "wrong", why: "The key in the code is not hexadecimal, or not 8 to 64 bytes long." };
  }
  const identity = said.get("i") || endpoint;
  const [enclosure, server] = [said.get("enc") ?? "", said.get("s") ?? ""];
  return { is: "new device", code: { endpoint, kind, mode, identity, key, enclosure, server } };
}

/** The text of a device's code. What stands for itself is left out. */
export function codeText(code: Pick<DeviceCode, "endpoint"> & Partial<DeviceCode>): string {
  const fields: [string, string | undefined][] = [
    ["ep", code.endpoint],
    ["kind", code.kind],
    ["m", code.mode === "psk" ? undefined : code.mode],
    ["i", code.identity === code.endpoint ? undefined : code.identity],
    ["k", code.key],
    ["enc", code.enclosure],
    ["s", code.server],
  ];
  const told = fields.filter(([, value]) => value).map(([name, value]) => `${name}=${encoded(value ?? "")}`);
  return `SHOAL:1;${told.join(";")}`;
}

/** Only what would end a field, or could not be seen, is written as %XX: names stay legible. */
function encoded(value: string): string {
  return value.replaceAll(/[;%\p{C}\p{Z}]/gu, (character) => encodeURIComponent(character));
}

function decoded(value: string): string | null {
  try {
    return decodeURIComponent(value);
  } catch {
    return null;
  }
}

function isLegible(text: string): boolean {
  return !/\p{C}/u.test(text);
}
