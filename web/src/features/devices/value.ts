/** Values of resources as text, and text back to values, checked against type and range before anything is sent. */
import { bytes as bytesText, exactly, quantity } from "../../ui/words";

/** What the definition says of a value. */
export type Shape = { type: string; range: string; units: string };
/** As it goes to the server: whole numbers that JavaScript would round are text. */
export type Sent = string | number | boolean;
export type Checked = { value: Sent } | { wrong: string };

/** OMA LwM2M Core 1.1, appendix C: an object link to nothing. */
export const NO_LINK = "65535:65535";
/** Bytes that a line shows of many. */
const FEW_BYTES = 8;

const wholeFormat = new Intl.NumberFormat("en-GB");
/** A position on a map has six decimals that count. */
const decimalFormat = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 6 });

const LEAST: Record<string, bigint> = { integer: -(2n ** 63n), unsigned: 0n };
const MOST: Record<string, bigint> = { integer: 2n ** 63n - 1n, unsigned: 2n ** 64n - 1n };
const encoder = new TextEncoder();

export function valueText(value: unknown, shape: Shape): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map((each) => valueText(each, shape)).join(", ");
  if (typeof value === "object") {
    return Object.entries(value)
      .map(([name, each]) => `${name}: ${valueText(each, shape)}`)
      .join(", ");
  }
  const choice = choices(shape)?.find((each) => each.value === String(value));
  if (choice && choice.label !== choice.value) return `${choice.label} (${choice.value})`;
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (shape.type === "time") return timeText(value);
  if (typeof value === "number") return quantity(format(value), shape.units);
  return wordsOf(String(value), shape);
}

function wordsOf(text: string, shape: Shape): string {
  switch (shape.type) {
    case "integer":
    case "unsigned":
      return /^-?\d+$/.test(text) ? quantity(signed(wholeFormat.format(BigInt(text))), shape.units) : text;
    case "opaque":
      return opaqueText(text);
    case "objlnk":
      return text === NO_LINK ? "none" : `/${text.replace(":", "/")}`;
    case "corelnk":
      return parseLinks(text)?.map(linkText).join(", ") ?? text;
    default:
      return text === "" ? "empty" : text;
  }
}

function timeText(value: unknown): string {
  const at = new Date(typeof value === "number" ? value * 1000 : String(value));
  return Number.isNaN(at.getTime()) ? String(value) : exactly(at);
}

function opaqueText(text: string): string {
  const data = fromBase64(text);
  if (data === null) return "bytes that are not readable";
  if (data.length === 0) return "empty";
  return `${bytesText(data.length)}: ${beginOf(data)}`;
}

function beginOf(data: Uint8Array): string {
  return `${toHex(data.subarray(0, FEW_BYTES))}${data.length > FEW_BYTES ? " …" : ""}`;
}

/** A value that may be the beginning of a longer one: bytes are not counted. */
export function beginText(value: unknown, shape: Shape): string {
  const data = shape.type === "opaque" && typeof value === "string" ? fromBase64(value) : null;
  return data ? beginOf(data) : valueText(value, shape);
}

/** A value of which the server kept only the beginning. */
export function cutText(value: unknown, shape: Shape): string {
  const begin = beginText(value, shape).replace(/ …$/, "");
  return `beginning of ${shape.type === "opaque" ? "the bytes" : "the text"}: ${begin} … (cut)`;
}

function format(value: number): string {
  return signed(decimalFormat.format(value));
}

/** A true minus sign. */
function signed(text: string): string {
  return text.replace(/^-/, "\u2212");
}

/** What a value can be (OMA LwM2M Core 1.1, appendix C). */
export const TYPES = ["string", "integer", "unsigned", "float", "boolean", "opaque", "time", "objlnk", "corelnk"];

/** Types as people know them; the others are called what LwM2M calls them. */
export function typeWord(type: string): string {
  return { "": "of unknown type", objlnk: "object link", corelnk: "links", opaque: "bytes" }[type] ?? type;
}

/** What to send for a text somebody typed, or why it cannot be sent. */
export function check(text: string, shape: Shape): Checked {
  const trimmed = text.trim();
  switch (shape.type) {
    case "integer":
    case "unsigned":
      return checkWhole(trimmed, shape);
    case "float":
      return checkFloat(trimmed, shape);
    case "boolean":
      // Nothing chosen is no answer.
      return trimmed === "true" || trimmed === "false" ? { value: trimmed === "true" } : { wrong: "Choose yes or no." };
    case "time": {
      const at = new Date(trimmed);
      return Number.isNaN(at.getTime())
        ? { wrong: "This takes a date and a time." }
        : { value: Math.round(at.getTime() / 1000) };
    }
    case "objlnk":
      return checkLink(trimmed);
    case "opaque":
      return checkOpaque(trimmed, shape);
    case "corelnk":
      return parseLinks(trimmed)
        ? { value: trimmed }
        : { wrong: "This takes links like </3303/0/5700>;pmin=60, with commas between them." };
    default:
      return checkString(text, shape);
  }
}

function checkWhole(text: string, shape: Shape): Checked {
  if (!/^[+-]?\d+$/.test(text)) return { wrong: "This takes a whole number." };
  const value = BigInt(text.replace(/^\+/, ""));
  const limits = bounds(shape.range);
  const [least, most] = [LEAST[shape.type] ?? 0n, MOST[shape.type] ?? 0n];
  const low = limits && isWhole(limits[0]) && BigInt(limits[0]) > least ? BigInt(limits[0]) : least;
  const high = limits && isWhole(limits[1]) && BigInt(limits[1]) < most ? BigInt(limits[1]) : most;
  if (value < low || value > high) return { wrong: between(wholeFormat.format(low), wholeFormat.format(high)) };
  return { value: Number.isSafeInteger(Number(value)) ? Number(value) : value.toString() };
}

function checkFloat(text: string, shape: Shape): Checked {
  const value = Number(text.replace(",", "."));
  if (text === "" || !Number.isFinite(value)) return { wrong: "This takes a number." };
  const limits = bounds(shape.range);
  if (limits && (value < Number(limits[0]) || value > Number(limits[1]))) {
    return { wrong: between(format(Number(limits[0])), format(Number(limits[1]))) };
  }
  return { value };
}

function checkLink(text: string): Checked {
  const parts = /^(\d{1,5}):(\d{1,5})$/.exec(text);
  return parts && Number(parts[1]) <= 65_535 && Number(parts[2]) <= 65_535
    ? { value: text }
    : { wrong: "This takes object:instance, like 3:0." };
}

function checkOpaque(text: string, shape: Shape): Checked {
  const data = fromHex(text);
  if (data === null) return { wrong: "This takes bytes as pairs of 0 to 9 and a to f." };
  return checkLength(data.length, shape) ?? { value: toBase64(data) };
}

function checkString(text: string, shape: Shape): Checked {
  return checkLength(encoder.encode(text).length, shape) ?? { value: text };
}

function checkLength(size: number, shape: Shape): { wrong: string } | null {
  const allowed = lengths(shape.range);
  if (!allowed) return null;
  if (Array.isArray(allowed)) {
    return allowed.includes(size) ? null : { wrong: `This takes ${allowed.join(" or ")} bytes, and has ${size}.` };
  }
  return size < allowed.low || size > allowed.high
    ? { wrong: `This takes ${allowed.low} to ${allowed.high} bytes, and has ${size}.` }
    : null;
}

function between(low: string, high: string): string {
  return `This must be between ${signed(low)} and ${signed(high)}.`;
}

function isWhole(text: string): boolean {
  return /^-?\d+$/.test(text);
}

/** The ends of a range like `0..100`, as they are written: a number may have more digits than JavaScript keeps. */
export function bounds(range: string): [string, string] | null {
  const found = /^\s*(-?\d+(?:\.\d+)?)\s*(?:\.{2,3}|to|-)\s*(-?\d+(?:\.\d+)?)\s*$/i.exec(range);
  return found?.[1] !== undefined && found[2] !== undefined ? [found[1], found[2]] : null;
}

/** How many bytes a text may have: `0..255 bytes`, `64` (at most), `10,26` (one of them). */
export function lengths(range: string): { low: number; high: number } | number[] | null {
  const bare = range.replace(/\s*bytes?\s*$/i, "").trim();
  const limits = bounds(bare);
  if (limits) return { low: Number(limits[0]), high: Number(limits[1]) };
  if (/^\d+$/.test(bare)) return { low: 0, high: Number(bare) };
  return /^\d+([,-]\d+)+$/.test(bare) ? bare.split(/[,-]/).map(Number) : null;
}

export type Choice = { value: string; label: string };

/** What a range counts up: `0: off 1: on`, `5, 10, 15`, `ON;OFF`; null when it says something else, and of yes and no. */
export function choices({ type, range }: Shape): Choice[] | null {
  if (type === "boolean") return null;
  const named = [...range.matchAll(/(-?\d+)\s*[:=]\s*(.+?)(?=[\s,;]+-?\d+\s*[:=]|$)/g)];
  if (named.length > 1 && range.trim().startsWith(named[0]?.[0] ?? "\0") && type !== "string") {
    return named.map(([, value = "", label = ""]) => ({ value, label: label.trim() }));
  }
  const parts = range.split(/[,;]/).map((part) => part.trim());
  if (parts.length < 2) return null;
  const areNumbers = parts.every((part) => /^-?\d+(\.\d+)?$/.test(part));
  if (["integer", "unsigned", "float"].includes(type)) return areNumbers ? parts.map(itself) : null;
  const areWords = parts.every((part) => /^[\w-]{1,24}$/.test(part)) && !areNumbers;
  return type === "string" && areWords ? parts.map(itself) : null;
}

function itself(value: string): Choice {
  return { value, label: value };
}

export type Link = { target: string; attributes: string[] };

/** Links as in RFC 6690; null when it is something else. */
export function parseLinks(text: string): Link[] | null {
  if (text.trim() === "") return [];
  const links: Link[] = [];
  // A comma or semicolon inside quotes separates nothing.
  for (const part of split(text, ",")) {
    const [target, ...attributes] = split(part, ";").map((each) => each.trim());
    const found = /^<([^<>\s]*)>$/.exec(target ?? "");
    if (!found || attributes.some((each) => !/^[\w!#$&+.^`|~*-]+(=("[^"]*"|[^"\s]+))?$/.test(each))) return null;
    links.push({ target: found[1] ?? "", attributes });
  }
  return links;
}

function split(text: string, separator: string): string[] {
  const parts = [""];
  let isQuoted = false;
  for (const character of text) {
    if (character === '"') isQuoted = !isQuoted;
    if (character === separator && !isQuoted) parts.push("");
    else parts[parts.length - 1] += character;
  }
  return parts;
}

export function linkText({ target, attributes }: Link): string {
  return attributes.length > 0 ? `${target} (${attributes.join(", ")})` : target;
}

/** What the field begins with. */
export function editable(value: unknown, type: string): string {
  if (value === null || value === undefined || typeof value === "object") return "";
  if (type === "opaque") {
    const data = fromBase64(String(value));
    return data ? toHex(data) : "";
  }
  if (type !== "time") return String(value);
  const at = new Date(typeof value === "number" ? value * 1000 : String(value));
  if (Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}

export function fromHex(text: string): Uint8Array<ArrayBuffer> | null {
  const digits = text.replace(/[\s:]/g, "");
  if (digits.length % 2 !== 0 || /[^0-9a-f]/i.test(digits)) return null;
  return Uint8Array.from({ length: digits.length / 2 }, (_, at) =>
    Number.parseInt(digits.slice(2 * at, 2 * at + 2), 16),
  );
}

export function toHex(data: Uint8Array): string {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

export function toBase64(data: Uint8Array): string {
  return btoa(Array.from(data, (byte) => String.fromCharCode(byte)).join(""));
}
