/** What axe finds wrong with a page as it stands: run in the page, in one go, and once for each theme of one load. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "@playwright/test";
import type Axe from "axe-core";

const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const SOURCE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export const THEMES = ["light", "dark"] as const;
type Found = Record<(typeof THEMES)[number], string[]>;
export const NOTHING: Found = { light: [], dark: [] };

/** What is wrong in each theme. The page follows the system's theme while it stands, as a visitor's does at dusk. */
export async function violations(page: Page): Promise<Found> {
  const found: Found = { light: [], dark: [] };
  await page.evaluate(SOURCE);
  for (const colorScheme of THEMES) {
    await page.emulateMedia({ colorScheme });
    found[colorScheme] = await page.evaluate(examine, { rules: RULES, colorScheme });
  }
  return found;
}

async function examine({ rules, colorScheme }: { rules: string[]; colorScheme: string }): Promise<string[]> {
  const { axe } = window as unknown as { axe: typeof Axe };
  // What cannot be seen from here would pass unseen: a frame, or a theme that did not arrive.
  if (document.querySelector("iframe")) throw new Error("axe was not taken into the frames of this page");
  if (
    getComputedStyle(document.body).colorScheme !== "light dark" ||
    !matchMedia(`(prefers-color-scheme: ${colorScheme})`).matches
  ) {
    throw new Error(`the page does not follow the system into ${colorScheme}`);
  }
  // Fades last 120 ms; a colour measured in between belongs to nobody.
  await Promise.all(document.getAnimations().map((each) => each.finished));
  const { violations } = await axe.run(document, {
    runOnly: { type: "tag", values: rules },
    resultTypes: ["violations"],
  });
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}
