import { expect, test } from "./farm";

/** The demo's camera that loses power without a word (src/shoal/demo/farm.py). */
const CAMERA = "cam-0601";
const TWO_MINUTES = 120_000;

test("a camera that goes silent reaches the screen within two minutes, and is taken", async ({ page, farm }) => {
  await farm.logIn(page);

  const row = page.getByRole("listitem").filter({ hasText: CAMERA }).filter({ hasText: "silent" }).first();
  await expect(row).toBeVisible({ timeout: TWO_MINUTES });
  await row.getByRole("link").click();

  const alert = page.getByRole("article");
  await expect(alert.getByRole("heading", { name: CAMERA })).toBeVisible();
  await expect(alert.getByRole("term").first()).toBeVisible(); // how we know
  await alert.getByRole("button", { name: /Acknowledge/ }).click();
  await page.getByLabel("Note for the others").fill("Looking for the plug");
  await page.keyboard.press("Enter");
  await expect(alert).toContainText("Taken by");
  await expect(alert).toContainText("Looking for the plug");

  await alert.getByRole("link", { name: CAMERA }).click();
  await expect(page.getByRole("region", { name: "State" })).toContainText("Silent for");
  await expect(page.getByRole("region", { name: /^Alert/ })).toContainText("has it");
});
