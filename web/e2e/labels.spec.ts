import { deviceNamed, expect, logIn, test } from "./invented";

test.beforeEach(async ({ page }) => logIn(page));

/** How many pages a PDF has. */
function pagesOf(pdf: Buffer): number {
  return pdf.toString("latin1").match(/\/Type\s*\/Page\b(?!s)/g)?.length ?? 0;
}

test("the label of a device, photographed, leads back to its page", async ({ page }) => {
  const device = await deviceNamed(page, "oxy-0418");
  await page.goto(`/devices/${device}`);
  await page.getByRole("link", { name: "Label", exact: true }).click();
  const label = page.getByRole("article", { name: "Label of oxy-0418" });
  await expect(label).toContainText(device);
  const photo = await label.screenshot();

  await page.goto("/add");
  await page.locator("input[type=file]").setInputFiles({ name: "label.png", mimeType: "image/png", buffer: photo });

  await expect(page).toHaveURL(new RegExp(`/devices/${device}$`));
});

test("the label of an enclosure, photographed, chooses it for the next device", async ({ page }) => {
  await page.goto("/labels?format=single");
  const photo = await page.getByRole("article", { name: "Label of Pen 2" }).first().screenshot();

  await page.goto("/add");
  await page.locator("input[type=file]").setInputFiles({ name: "label.png", mimeType: "image/png", buffer: photo });

  await expect(page.getByRole("status").filter({ hasText: "Into Pen 2" })).toBeVisible();
});

test("labels are printed alone: a sheet for each twenty-four, or a page for each", async ({ page }) => {
  const { farms } = await (await page.request.get("/bff/screens/places")).json();
  const total = farms.reduce((sum: number, farm: { enclosures: unknown[] }) => sum + farm.enclosures.length, 0);
  await page.goto("/labels");
  await expect(page.getByRole("article")).toHaveCount(total);
  expect(pagesOf(await page.pdf({ preferCSSPageSize: true }))).toBe(Math.ceil(total / 24));

  await page.getByLabel("Farm").selectOption({ label: farms[0].name });
  await page.getByRole("combobox", { name: "On" }).selectOption({ label: "one by one" });
  await expect(page.getByRole("article")).toHaveCount(farms[0].enclosures.length);
  expect(pagesOf(await page.pdf({ preferCSSPageSize: true }))).toBe(farms[0].enclosures.length);

  await page.getByRole("combobox", { name: "Of" }).selectOption({ label: "devices" });
  await expect(page.getByRole("article").first()).toContainText("dev-");
});
