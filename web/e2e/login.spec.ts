import { expect, IDA, logIn, test } from "./invented";

test("whoever logs in returns to the page that was asked for, by keyboard alone", async ({ page }) => {
  await page.goto("/devices?status=silent");
  await expect(page.getByLabel("Email")).toBeFocused();

  await page.keyboard.type(IDA.email);
  await page.keyboard.press("Tab");
  await page.keyboard.type(IDA.password);
  await page.keyboard.press("Enter");

  await expect(page).toHaveURL(/\/devices\?status=silent$/);
  await expect(page.getByRole("heading", { name: "Devices" })).toBeVisible();
});

test("a wrong password and an unknown person get the same words, and what was typed stays", async ({ page }) => {
  for (const email of [IDA.email, "nobody@nordvik.example"]) {
    await page.goto("/login");
    await page.getByLabel("Email").fill(email);
    await page.getByLabel("Password").fill("freshwater");
    await page.getByRole("button", { name: "Log in" }).click();

    await expect(page.getByRole("alert")).toHaveText("Email or password is wrong.");
    await expect(page.getByLabel("Email")).toHaveValue(email);
  }
});

test("without the API nobody is told that the password is wrong", async ({ page, farm }) => {
  await farm.say("away");
  await page.goto("/login");
  await page.getByLabel("Email").fill(IDA.email);
  await page.getByLabel("Password").fill(IDA.password);
  await page.getByRole("button", { name: "Log in" }).click();

  await expect(page.getByRole("alert")).toContainText("Shoal's API does not answer");
});

test("nothing of the application is loaded before somebody is known", async ({ page }) => {
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));

  await page.goto("/");
  await expect(page.getByRole("heading", { name: "Log in to Shoal" })).toBeVisible();

  expect(asked.filter((path) => path.startsWith("/bff/screens") || /fleet|device|inbox/.test(path))).toEqual([]);
});

test("a login that ended leads back to where one was", async ({ page, context }) => {
  await logIn(page);
  await page.goto("/alerts");
  await expect(page.getByRole("heading", { name: "Alerts" })).toBeVisible();

  await context.clearCookies();
  await page.keyboard.press("g");
  await page.keyboard.press("d");

  await expect(page.getByText("You were logged out.")).toBeVisible();
  await page.getByLabel("Email").fill(IDA.email);
  await page.getByLabel("Password").fill(IDA.password);
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/devices$/);
});

test("whoever logs out has left, also for the back button", async ({ page }) => {
  await logIn(page);
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "Fleet" })).toBeVisible();

  await page.getByRole("button", { name: /Theme, keys, log out/ }).click();
  await page.getByRole("button", { name: "Log out", exact: true }).click();
  await expect(page.getByRole("heading", { name: "Log in to Shoal" })).toBeVisible();
  await page.goBack();

  await expect(page.getByRole("heading", { name: "Log in to Shoal" })).toBeVisible();
  await expect(page.getByText("Storholmen")).toHaveCount(0);
});

test("whoever comes for the first time is not told that they were logged out", async ({ page }) => {
  await page.goto("/");

  await expect(page.getByRole("heading", { name: "Log in to Shoal" })).toBeVisible();
  await expect(page).toHaveURL(/\/login$/);
  await expect(page.getByText("You were logged out")).toHaveCount(0);
});
