/** Values of resources as text, and text back to values, checked against type and range before anything is sent. */
import { exactly, quantity } from "../../ui/words";

export function valueText(value: unknown, type: string, units: string): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map((each) => valueText(each, type, units)).join(", ");
  if (typeof value === "object") {
    return Object.entries(value)
      .map(([name, each]) => `${name}: ${valueText(each, type, units)}`)
      .join(", ");
  }
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (type === "time") {
    const at = new Date(typeof value === "number" ? value * 1000 : String(value));
    return Number.isNaN(at.getTime()) ? String(value) : exactly(at);
  }
  if (typeof value === "number") return quantity(value, units);
  return value === "" ? "empty" : String(value);
}

export type Checked = { value: string | number | boolean } | { wrong: string };

/** What to send for a text somebody typed, or why it cannot be sent. */
export function check(text: string, type: string, range: string): Checked {
  const trimmed = text.trim();
  switch (type) {
    case "integer":
    case "unsigned":
      if (!/^[+-]?\d+$/.test(trimmed)) return { wrong: "This takes a whole number." };
      return inRange(Number(trimmed), range);
    case "float": {
      const value = Number(trimmed.replace(",", "."));
      if (trimmed === "" || !Number.isFinite(value)) return { wrong: "This takes a number." };
      return inRange(value, range);
    }
    case "boolean":
      return { value: trimmed === "true" };
    case "time": {
      const at = new Date(trimmed);
      if (Number.isNaN(at.getTime())) return { wrong: "This takes a date and a time." };
      return { value: at.toISOString() };
    }
    case "objlnk":
      return /^\d{1,5}:\d{1,5}$/.test(trimmed)
        ? { value: trimmed }
        : { wrong: "This takes object:instance, like 3:0." };
    default:
      return { value: text };
  }
}

/** Ranges come as `0..100`; other notations (enumerations, lengths) are the device's own business. */
export function bounds(range: string): [number, number] | null {
  const found = /^\s*(-?[\d.]+?)\s*(?:\.\.|to|-)\s*(-?[\d.]+)\s*$/.exec(range);
  if (!found) return null;
  const [low, high] = [Number(found[1]), Number(found[2])];
  return Number.isFinite(low) && Number.isFinite(high) ? [low, high] : null;
}

function inRange(value: number, range: string): Checked {
  const limits = bounds(range);
  if (limits && (value < limits[0] || value > limits[1])) {
    return { wrong: `This must be between ${quantity(limits[0])} and ${quantity(limits[1])}.` };
  }
  return { value };
}

/** What the field begins with. */
export function editable(value: unknown, type: string): string {
  if (value === null || value === undefined || typeof value === "object") return "";
  if (type === "time") {
    const at = new Date(typeof value === "number" ? value * 1000 : String(value));
    if (Number.isNaN(at.getTime())) return "";
    return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
  }
  return String(value);
}
