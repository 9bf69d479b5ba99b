/** A new installation (`shoal up` on an empty folder), as its first operator meets it. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "@playwright/test";
import { freePort } from "./farm";
import { python } from "./invented";

const checkout = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const KARI = { email: "kari@nordvik.example", password: "a pen full of salmon" };

test("the link that the first start prints makes an administrator, once", async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), "shoal-first-"));
  const shoal = spawn(
    python,
    ["-m", "shoal.cli", "up", "--data", folder, "--web", `127.0.0.1:${await freePort()}`].concat([
      "--listen",
      `coaps://127.0.0.1:${await freePort()}`,
    ]),
    {
      cwd: folder,
      env: { ...process.env, PYTHONPATH: join(checkout, "src"), PYTHONUNBUFFERED: "1" },
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const ended = new Promise((resolve) => shoal.once("exit", resolve));
  try {
    let link = "";
    for await (const line of createInterface({ input: shoal.stdout })) {
      link = /\S+\/welcome#\S+/.exec(line)?.[0] ?? link;
      if (line.includes("Ctrl-C stops")) break;
    }
    shoal.stdout.resume();

    await page.goto(link);
    await page.getByLabel("Name").fill("Kari Nord");
    await page.getByLabel("Email").fill(KARI.email);
    await page.getByLabel("Password").fill(KARI.password);
    await page.getByRole("button", { name: "Begin" }).click();
    await expect(page.getByRole("heading", { name: "Fleet" })).toBeVisible();

    await page.context().clearCookies();
    const origin = new URL(link).origin;
    await page.goto(`${origin}/login`);
    await page.goto(link);
    await expect(page.getByRole("alert")).toContainText("This link does not work any more.");

    await page.goto(`${origin}/login`);
    await page.getByLabel("Email").fill(KARI.email);
    await page.getByLabel("Password").fill(KARI.password);
    await page.keyboard.press("Enter");
    await expect(page.getByRole("heading", { name: "Fleet" })).toBeVisible();
  } finally {
    shoal.kill("SIGINT");
    await ended;
    rmSync(folder, { recursive: true });
  }
});
