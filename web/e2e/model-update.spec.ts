import type { Locator, Page } from "@playwright/test";
import { expect, type Farm, test } from "./farm";

/** Cameras of the demo (src/shoal/demo/farm.py): one is well, the other's new model will not load. */
const WELL = "cam-0101";
const FAILS = "cam-0501";
const BEFORE = "2.0.3";
const AFTER = "2.1.0";
/** Download, install, a restart and the proof that it runs. */
const UPDATE_MS_MAX = 240_000;

async function install(page: Page, farm: Farm, camera: string): Promise<Locator> {
  await page.goto(`/devices/${await farm.device(page, camera)}/update`);
  const start = page.getByRole("region", { name: "Start an update" });
  await expect(start.getByRole("definition").last()).toHaveText(BEFORE, { timeout: 60_000 });
  await start.getByLabel("Install").selectOption({ label: await labelOf(start, `fish-count ${AFTER}`) });
  await start.getByRole("button", { name: `Install fish-count ${AFTER}` }).click();
  return page.getByRole("region", { name: "Updates" }).getByRole("listitem").first();
}

async function labelOf(start: Locator, name: string): Promise<string> {
  return (await start.getByRole("option").filter({ hasText: name }).first().textContent()) ?? "";
}

test("one click gives a camera a new model, and it shows the new version", async ({ page, farm }) => {
  await farm.logIn(page);

  const update = await install(page, farm, WELL);

  await expect(update.getByRole("progressbar").or(update.getByText("confirmed").last())).toBeVisible({
    timeout: 60_000,
  });
  await expect(update).toContainText("confirmed", { timeout: UPDATE_MS_MAX });
  await expect(update.getByRole("listitem")).toHaveCount(0, { timeout: UPDATE_MS_MAX });
  const running = page.getByRole("region", { name: "Start an update" }).getByRole("definition").last();
  await expect(running).toHaveText(AFTER, { timeout: 60_000 });
});

test("a model that does not load is rolled back, and the old version is shown", async ({ page, farm }) => {
  await farm.logIn(page);

  const update = await install(page, farm, FAILS);

  await expect(update).toContainText(/rolled back|failed/, { timeout: UPDATE_MS_MAX });
  const running = page.getByRole("region", { name: "Start an update" }).getByRole("definition").last();
  await expect(running).toHaveText(BEFORE, { timeout: 60_000 });
});
