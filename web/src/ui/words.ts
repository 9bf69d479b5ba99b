/** Time, numbers and units in words, as people on a farm read them. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
/** Narrow no-break space: between a number and its unit. */
const THIN = "\u202f";

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const precise = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 2 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const clockWithSeconds = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const dayAndYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "long" });

export function count(value: number): string {
  return whole.format(value);
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${whole.format(value)} ${value === 1 ? one : many}`;
}

/** 3.310, 6.2, −96: no more digits than anybody reads, and a true minus sign. */
export function number(value: number): string {
  return (Number.isInteger(value) ? whole : precise).format(value).replace("-", "\u2212");
}

const UNITS: Record<string, string> = { Cel: "°C", "%EL": "%", "%RH": "%", lon: "°", lat: "°" };

export function unitWord(unit: string): string {
  return UNITS[unit] ?? unit;
}

export function quantity(value: number | string, unit = ""): string {
  const text = typeof value === "number" ? number(value) : value;
  return unit ? `${text}${THIN}${unitWord(unit)}` : text;
}

/** How long: 40 s, 14 min, 2 h 41 min, 3 d 2 h, 41 d. */
export function duration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  if (ms < MINUTE) return `${Math.floor(ms / SECOND)}${THIN}s`;
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)}${THIN}min`;
  if (ms < DAY) return pair(Math.floor(ms / HOUR), "h", Math.floor((ms % HOUR) / MINUTE), "min");
  const days = Math.floor(ms / DAY);
  return days < 10 ? pair(days, "d", Math.floor((ms % DAY) / HOUR), "h") : `${days}${THIN}d`;
}

function pair(big: number, bigUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${big}${THIN}${bigUnit}` : `${big}${THIN}${bigUnit} ${small}${THIN}${smallUnit}`;
}

/** Relative within a day, then a date. */
export function ago(at: Date, now: number): string {
  const ms = now - at.getTime();
  if (ms < 10 * SECOND) return "just now";
  return ms < DAY ? `${duration(ms)} ago` : moment(at, now);
}

/** When something is to come: in 18 min, 15:10, tomorrow 14:02, 21 Nov, 14:02. */
export function ahead(at: Date, now: number): string {
  const ms = at.getTime() - now;
  if (ms <= 0) return "now";
  return ms < HOUR ? `in ${duration(Math.max(ms, MINUTE))}` : until(at, now);
}

export function until(at: Date, now: number): string {
  if (sameDay(at, new Date(now))) return clock.format(at);
  return sameDay(at, new Date(now + DAY)) ? `tomorrow ${clock.format(at)}` : moment(at, now);
}

/** A moment as said aloud: 14:02 today, 21 Nov, 14:02 otherwise. */
export function moment(at: Date, now: number): string {
  return sameDay(at, new Date(now)) ? clock.format(at) : `${day.format(at)}, ${clock.format(at)}`;
}

/** A day that may be years away: 12 Mar 2027. */
export function date(at: Date): string {
  return dayAndYear.format(at);
}

export function clockTime(at: Date): string {
  return clock.format(at);
}

export function clockTimeWithSeconds(at: Date): string {
  return clockWithSeconds.format(at);
}

export function exactly(at: Date): string {
  return exact.format(at);
}

/** 145 kB, 9.0 MB. */
export function bytes(value: number): string {
  if (value < 1024) return `${value}${THIN}B`;
  const kilo = value / 1024;
  return kilo < 1024 ? `${whole.format(kilo)}${THIN}kB` : `${(kilo / 1024).toFixed(1)}${THIN}MB`;
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function sameDay(one: Date, other: Date): boolean {
  return one.toDateString() === other.toDateString();
}

/** What the device says about where it is, and why that may not count. */
export function saidPlace(claim: { enclosure: string; name: string; farm: string; state: string } | null): string {
  if (!claim) return "It has not said where it is.";
  if (claim.name) return `It says that it is in ${claim.name}${claim.farm ? `, ${claim.farm}` : ""}.`;
  if (claim.state === "foreign") return `It says that it is in ${claim.enclosure}, which is not yours.`;
  return `It says that it is in ${claim.enclosure}, which does not exist.`;
}
