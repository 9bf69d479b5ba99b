/** When a device reports by itself: the attributes of OMA LwM2M Core 1.2 §7.3, in words for who runs a farm. */
import type { Found } from "../../api/queries";
import { duration, quantity } from "../../ui/words";

export type Attributes = Record<string, number | boolean>;
type Kind = "seconds" | "value" | "count" | "yes" | "edge";
type Attribute = {
  name: string;
  label: string;
  kind: Kind;
  hint: string;
  /** Shown at once; the others fold out. */
  isUsual: boolean;
};

export const ATTRIBUTES: Attribute[] = [
  { name: "pmax", label: "At least every", kind: "seconds", hint: "pmax, also without a change", isUsual: true },
  { name: "pmin", label: "At most every", kind: "seconds", hint: "pmin, however much it changes", isUsual: true },
  { name: "gt", label: "When it rises above", kind: "value", hint: "gt, and when it falls back", isUsual: true },
  { name: "lt", label: "When it falls below", kind: "value", hint: "lt, and when it rises back", isUsual: true },
  { name: "st", label: "When it changes by", kind: "value", hint: "st, or more", isUsual: true },
  { name: "edge", label: "Only when it turns", kind: "edge", hint: "edge, LwM2M 1.2", isUsual: true },
  {
    name: "epmin",
    label: "Looks at most every",
    kind: "seconds",
    hint: "epmin: how often it measures",
    isUsual: false,
  },
  {
    name: "epmax",
    label: "Looks at least every",
    kind: "seconds",
    hint: "epmax: how often it measures",
    isUsual: false,
  },
  { name: "con", label: "Waits for our receipt", kind: "yes", hint: "con, LwM2M 1.2", isUsual: false },
  {
    name: "hqmax",
    label: "Keeps at most",
    kind: "count",
    hint: "hqmax, LwM2M 1.2: values it cannot send",
    isUsual: false,
  },
];

const SECONDS_MAX = 2 ** 32 - 1;
const NUMBERS = new Set(["integer", "unsigned", "float"]);

/** Those that make sense for a path: thresholds are of numbers, edges of yes and no, and both of single values. */
export function attributesFor(path: string, type: string): Attribute[] {
  const isValue = path.split("/").length > 3;
  return ATTRIBUTES.filter(({ kind }) => {
    if (kind === "value") return isValue && (NUMBERS.has(type) || type === "");
    return kind !== "edge" || (isValue && type === "boolean");
  });
}

/** "at least every 30 min, at most every 10 s, above 8 mg/L". */
export function attributesText(attributes: Attributes, units = ""): string {
  return ATTRIBUTES.filter(({ name }) => attributes[name] !== undefined)
    .map((attribute) => oneText(attribute, attributes[attribute.name] ?? "", units))
    .join(", ");
}

export function oneText({ name, label, kind }: Attribute, value: number | boolean | string, units = ""): string {
  const number = Number(value);
  switch (kind) {
    case "seconds":
      return `${label.toLowerCase()} ${duration(number * 1000)}`;
    case "value":
      return `${name === "st" ? "by" : name === "gt" ? "above" : "below"} ${quantity(number, units)}`;
    case "count":
      return `keeps ${number} values`;
    case "edge":
      return isYes(value) ? "only when it turns to yes" : "only when it turns to no";
    case "yes":
      return isYes(value) ? "waits for our receipt" : "does not wait for our receipt";
  }
}

function isYes(value: number | boolean | string): boolean {
  return value === true || value === 1 || value === "1" || value === "true" || value === "1.0";
}

/** What stands in the form, as text; an empty one is not set. */
export function textsOf(attributes: Attributes | Record<string, string | boolean>): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const { name, kind } of ATTRIBUTES) {
    const value = attributes[name];
    if (value === undefined) continue;
    texts[name] = kind === "yes" || kind === "edge" ? (isYes(value) ? "1" : "0") : String(value);
  }
  return texts;
}

export type Parsed = { attributes: Attributes } | { wrong: Record<string, string> };

/** The attributes of a filled form, or what is wrong with which field. */
export function parse(texts: Record<string, string>, among: Attribute[]): Parsed {
  const attributes: Attributes = {};
  const wrong: Record<string, string> = {};
  for (const { name, kind } of among) {
    const text = (texts[name] ?? "").trim().replace(",", ".");
    if (text === "") continue;
    const number = Number(text);
    if (kind === "yes" || kind === "edge") attributes[name] = text === "1";
    else if (!Number.isFinite(number)) wrong[name] = "This takes a number.";
    else if (kind === "value") attributes[name] = number;
    else if (!Number.isInteger(number) || number < 0 || number > SECONDS_MAX)
      wrong[name] = "A whole number, 0 or more.";
    else attributes[name] = number;
  }
  const value = (name: string) => Number(attributes[name] ?? Number.NaN);
  if (value("st") <= 0) wrong.st = "This must be more than 0.";
  if (value("lt") + 2 * (attributes.st === undefined ? 0 : value("st")) >= value("gt")) {
    wrong.gt = "This must be more than the lower bound and twice the change.";
  }
  if (value("epmin") >= value("epmax")) wrong.epmax = "This must be more than the shortest time.";
  if (value("pmax") < value("pmin")) wrong.pmax = "This must not be less than the shortest time.";
  return Object.keys(wrong).length > 0 ? { wrong } : { attributes };
}

export type Set = { attribute: Attribute; value: string | boolean; from: string };

/** What is set for a path on the device: at the path itself, or above it and so inherited. */
export function setFor(path: string, found: Found): Set[] {
  const parts = path.split("/").slice(1);
  const lines: Set[] = [];
  for (const attribute of ATTRIBUTES) {
    for (let depth = parts.length; depth > 0; depth--) {
      const from = `/${parts.slice(0, depth).join("/")}`;
      const value = found[from]?.[attribute.name];
      if (value === undefined) continue;
      lines.push({ attribute, value, from });
      break;
    }
  }
  return lines;
}

/** What a Write-Attributes has to say to come from one to the other; null takes one back. */
export function difference(before: Attributes, after: Attributes): Record<string, number | boolean | null> {
  const changed: Record<string, number | boolean | null> = {};
  for (const { name } of ATTRIBUTES) {
    const value = after[name];
    if (value !== before[name]) changed[name] = value ?? null;
  }
  return changed;
}
