// Makes the pictures of the README from a running product: node scripts/screenshots.mjs http://127.0.0.1:8080 MAIL PASSWORD
// Wait until the farm has something to tell: the demo's stories need two minutes.
import { mkdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "@playwright/test";

const [url, email, password] = process.argv.slice(2);
if (!password) {
  console.error("node scripts/screenshots.mjs URL MAIL PASSWORD");
  process.exit(2);
}
const folder = join(dirname(fileURLToPath(import.meta.url)), "../../docs/pictures");
/** A README is read over a farm's link, too. */
const PICTURE_BYTES_MAX = 200_000;
/** Long enough for fonts, charts and fades. */
const SETTLED_MS = 1_000;

const DESKTOP = { viewport: { width: 1280, height: 860 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});
mkdirSync(folder, { recursive: true });

/** Logs in, and gives the page and what the worst alert is about. */
async function begin(options) {
  const context = await browser.newContext({ ...options, baseURL: url, colorScheme: "light", locale: "en-GB" });
  const answer = await context.request.post("/bff/login", { data: { email, password } });
  if (!answer.ok()) throw new Error(`login: ${answer.status()} ${await answer.text()}`);
  const page = await context.newPage();
  return { context, page };
}

/** The device worth a picture: one that an open alert is about, or else the first. */
async function device(page) {
  const inbox = await (await page.request.get("/bff/screens/alerts")).json();
  const about = [...inbox.needs_person.alerts, ...inbox.taken.alerts].find((alert) => alert.place.device);
  if (about) return about.place.device;
  const { items } = await (await page.request.get("/bff/screens/devices")).json();
  return items[0].id;
}

/** Adds a device that never comes, for the picture of waiting for it; the address of that page. */
async function addDevice(page) {
  await page.goto("/add");
  await page.getByLabel("Or type its name").fill(`SHOAL:1;ep=oxy-${Date.now() % 10_000};k=${"00".repeat(16)}`);
  await page.keyboard.press("Enter");
  const pen = page.getByLabel("Enclosure").locator("option").nth(1);
  await page.getByLabel("Enclosure").selectOption(await pen.getAttribute("value"));
  await page.getByRole("button", { name: "Add the device" }).click();
  await page.waitForURL(/device=/);
  return page.url();
}

async function take(page, path, name) {
  await page.goto(path);
  await page.getByRole("heading", { level: 1 }).waitFor();
  await page.waitForFunction(() => !document.querySelector("[aria-busy=true], [role=status][aria-label]"));
  await page.waitForTimeout(SETTLED_MS);
  const file = join(folder, `${name}.png`);
  await page.screenshot({ path: file, animations: "disabled" });
  const { size } = statSync(file);
  console.log(`${file}  ${Math.round(size / 1000)} kB`);
  if (size > PICTURE_BYTES_MAX) throw new Error(`${name}.png is too large: ${size} bytes`);
}

try {
  const desktop = await begin(DESKTOP);
  const shown = await device(desktop.page);
  await take(desktop.page, "/", "fleet");
  await take(desktop.page, `/devices/${shown}`, "device");
  await take(desktop.page, "/alerts", "alerts");
  const phone = await begin(PHONE);
  await take(phone.page, "/", "fleet-phone");
  await take(phone.page, `/devices/${shown}`, "device-phone");
  await take(phone.page, await addDevice(phone.page), "add-phone");
} finally {
  await browser.close();
}
