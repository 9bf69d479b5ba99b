/** A technician brings a real device in: its code, an enclosure, a wrong key first, and then it is here. */
import { type ChildProcess, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeQR } from "qr";
import { expect, type Farm, test } from "./farm";
import { python } from "./invented";

const KEY = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
const device = join(dirname(fileURLToPath(import.meta.url)), "device.py");

test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

/** Switches a device on; the answer switches it off. */
function switchedOn(farm: Farm, endpoint: string, key: string): () => Promise<void> {
  const process: ChildProcess = spawn(python, [device, farm.coaps, endpoint, key], { stdio: "inherit" });
  const ended = new Promise<void>((resolve) => process.once("exit", () => resolve()));
  return async () => {
    process.kill("SIGTERM");
    await ended;
  };
}

test("a device that is scanned in is waited for, told why it is refused, and greeted", async ({ page, farm }) => {
  await farm.logIn(page);
  await page.getByRole("link", { name: "Scan" }).click();
  const picture = encodeQR(`SHOAL:1;ep=oxy-0901;kind=sensor;k=${KEY}`, "gif", { scale: 6 });
  const photo = { name: "code.gif", mimeType: "image/gif", buffer: Buffer.from(picture) };
  await page.locator("input[type=file]").setInputFiles(photo);
  await expect(page.getByLabel("Endpoint name")).toHaveValue("oxy-0901");
  const pen = page.getByLabel("Enclosure").getByRole("option").nth(1);
  await page.getByLabel("Enclosure").selectOption((await pen.getAttribute("value")) ?? "");
  await page.getByRole("button", { name: "Add the device" }).click();
  await expect(page.getByText("Waiting for the first contact of oxy-0901")).toBeVisible();

  const off = switchedOn(farm, "oxy-0901", "00".repeat(16));
  try {
    await expect(page.getByRole("alert")).toContainText("wrong key");
  } finally {
    await off();
  }

  const offAgain = switchedOn(farm, "oxy-0901", KEY);
  try {
    await expect(page.getByText("oxy-0901 is here")).toBeVisible();
    await expect(page.getByRole("listitem").filter({ hasText: "Its first reading came" })).toContainText("Done:");
    await page.goto("/security?q=oxy-0901");
    await expect(page.getByRole("listitem").first()).toContainText("Wrong key");
  } finally {
    await offAgain();
  }
});
