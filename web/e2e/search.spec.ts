import { deviceNamed, expect, logIn, test } from "./invented";

test("one key opens the search; arrows choose, and Enter goes there", async ({ page }) => {
  await logIn(page);
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "Fleet" })).toBeVisible();
  await page.keyboard.press("/");
  const field = page.getByRole("combobox", { name: "Name, id, serial number or code" });
  await expect(field).toBeFocused();

  await page.keyboard.type("oxy-04");
  const devices = page.getByRole("group", { name: "Devices" }).getByRole("option");
  await expect(devices.first()).toHaveAttribute("aria-selected", "true");
  await page.keyboard.press("ArrowDown");
  await expect(devices.nth(1)).toHaveAttribute("aria-selected", "true");
  await expect(field).toHaveAttribute("aria-activedescendant", (await devices.nth(1).getAttribute("id")) ?? "none");
  const name = (await devices.nth(1).locator("span").first().textContent()) ?? "";
  await page.keyboard.press("Enter");

  await expect(page.getByRole("heading", { level: 1, name })).toBeVisible();
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("an alert is found by the code that somebody read out, and what is not there is said", async ({ page }) => {
  await logIn(page);
  await page.goto("/devices");
  await page.getByRole("button", { name: "Search" }).first().click();
  const dialog = page.getByRole("dialog", { name: "Search" });
  await dialog.getByRole("combobox").fill("narwhal");
  await expect(dialog.getByRole("status")).toHaveText("Nothing is called “narwhal” here.");
  await dialog.getByRole("combobox").fill("#a7k2");

  await dialog.getByRole("group", { name: "Alerts" }).getByRole("option").click();

  await expect(page).toHaveURL(/\/alerts\/alr-00A7K2/);
});

test("on a phone the search is in the header, and large enough", async ({ page }) => {
  await page.setViewportSize({ width: 390, height: 844 });
  await logIn(page);
  const id = await deviceNamed(page, "oxy-0417");
  await page.goto("/");
  await page.getByRole("banner").getByRole("button", { name: "Search" }).click();
  const dialog = page.getByRole("dialog", { name: "Search" });
  await dialog.getByRole("combobox").fill("oxy-0417");
  const option = dialog.getByRole("option").first();
  expect((await option.boundingBox())?.height).toBeGreaterThanOrEqual(44);
  await option.click();

  await expect(page).toHaveURL(new RegExp(`/devices/${id}`));
});

test("a search that does not work says so, and can be tried again", async ({ page }) => {
  await logIn(page);
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "Fleet" })).toBeVisible();
  await page.route("**/bff/screens/search*", (route) => route.abort());
  await page.keyboard.press("/");
  await page.getByRole("combobox").fill("oxy");
  const dialog = page.getByRole("dialog", { name: "Search" });
  await expect(dialog.getByRole("alert")).toContainText("The search did not work (no connection to Shoal).", {
    timeout: 20_000,
  });

  await page.unroute("**/bff/screens/search*");
  await dialog.getByRole("button", { name: "Try again" }).click();

  await expect(dialog.getByRole("option").first()).toBeVisible();
});
