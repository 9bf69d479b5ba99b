import { expect, test, VISITOR } from "./invented";

const LINK = "/welcome#shoal_first";

test("a short password and a taken address are refused in words, and the link still works", async ({ page }) => {
  await page.goto(LINK);
  await expect(page.getByLabel("Name")).toBeFocused();
  await page.keyboard.type("Kari Nord");
  await page.getByLabel("Email").fill(VISITOR.email);
  await page.getByLabel("Password").fill("short");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toHaveText("Too short: at least 8 characters.");

  await page.getByLabel("Password").fill("long enough");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("alert")).toHaveText("Somebody has this address already.");

  await page.getByLabel("Email").fill("kari@nordvik.example");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/$/);
  await expect(page.getByRole("heading", { name: "Fleet" })).toBeVisible();
});

test("a link works once, and says so afterwards", async ({ page, context }) => {
  await page.goto(LINK);
  await page.getByLabel("Name").fill("Kari Nord");
  await page.getByLabel("Email").fill("kari@nordvik.example");
  await page.getByLabel("Password").fill("long enough");
  await page.getByRole("button", { name: "Begin" }).click();
  await expect(page.getByRole("heading", { name: "Fleet" })).toBeVisible();

  await context.clearCookies();
  await page.goto("/login");
  await page.goto(LINK);

  await expect(page.getByRole("alert")).toContainText("This link does not work any more.");
  await expect(page.getByText("shoal admin invite")).toBeVisible();
  await page.getByRole("link", { name: "Log in" }).click();
  await expect(page.getByRole("heading", { name: "Log in to Shoal" })).toBeVisible();
});

test("the secret of the link is in no address that a server sees", async ({ page }) => {
  const asked: string[] = [];
  page.on("request", (request) => asked.push(request.url() + (request.headers().referer ?? "")));

  await page.goto(LINK);
  await expect(page.getByText("You become an administrator")).toBeVisible();

  expect(asked.filter((address) => address.includes("shoal_first"))).toEqual([]);
});

test("while the API is away the link may be tried again", async ({ page, farm }) => {
  await farm.say("away");
  await page.goto(LINK);
  await expect(page.getByRole("alert")).toContainText("Shoal's API does not answer");

  await farm.say("back");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("You become an administrator")).toBeVisible();
});
