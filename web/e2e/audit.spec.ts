import { expect, logIn, test, VISITOR } from "./invented";

test.beforeEach(async ({ page }) => logIn(page));

test("who changed a device, and what it was before, is found from the menu by clicks alone", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("button", { name: /log out/i }).click();
  await page.getByRole("link", { name: /Audit log/ }).click();
  await expect(page.getByRole("heading", { name: "Audit log" })).toBeVisible();

  const first = page.getByRole("listitem").first();
  await expect(first).toContainText("Changed a device");
  await expect(first).toContainText("Ida Vik");
  await expect(first).toContainText("192.0.2.17");
  await expect(first.getByRole("deletion").first()).toHaveText("oxy-0420");
  await expect(first.getByRole("insertion").first()).toHaveText("By the feeding barge");
  await expect(first).toContainText("now none");
});

test("the list is narrowed to one person, one kind or one thing, and back", async ({ page }) => {
  await page.goto("/settings/audit");
  await page.getByRole("link", { name: "Ida Vik" }).first().click();
  await expect(page).toHaveURL(/by=usr-1DA00001/);
  await expect(page.getByRole("listitem")).toHaveCount(3);

  await page.getByLabel("About").selectOption("farms");
  await expect(page.getByRole("listitem")).toHaveCount(1);
  await expect(page.getByRole("listitem")).toContainText("Storholm");

  await page.getByRole("button", { name: "Clear" }).click();
  await expect(page.getByRole("listitem")).toHaveCount(50);
});

test("older entries come page by page", async ({ page }) => {
  await page.goto("/settings/audit");
  await expect(page.getByRole("listitem")).toHaveCount(50);

  await page.getByRole("button", { name: "Older" }).click();

  await expect(page.getByRole("listitem")).toHaveCount(63);
  await expect(page.getByRole("button", { name: "Older" })).toHaveCount(0);
});

test("what does not match, what failed and what is not for everybody each say so", async ({ page, farm, context }) => {
  await page.goto("/settings/audit?thing=dev-NOTHING0");
  await expect(page.getByText("Nothing matches this filter.")).toBeVisible();

  await context.clearCookies();
  await logIn(page, VISITOR);
  await page.goto("/settings/audit");
  await expect(page.getByText("The audit log is for administrators.")).toBeVisible();

  await context.clearCookies();
  await logIn(page);
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "Fleet" })).toBeVisible();
  await farm.say("away");
  await page.getByRole("button", { name: /log out/i }).click();
  await page.getByRole("link", { name: /Audit log/ }).click();
  await expect(page.getByRole("alert").filter({ hasText: "The audit log could not be loaded" })).toBeVisible();
});
