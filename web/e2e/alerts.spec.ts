import { devices, type Page } from "@playwright/test";
import { expect, IDA, logIn, test, VISITOR } from "./invented";

const needs = (page: Page) => page.getByRole("link", { name: /Alerts/ }).first();

test("an alert is taken by one key, and every open page follows", async ({ page, context }) => {
  await logIn(page);
  const other = await context.newPage();
  await other.goto("/");
  await expect(other.getByRole("button", { name: "Acknowledge Storholmen is dark" })).toBeVisible();
  await page.goto("/alerts");
  await expect(page.getByRole("article").getByRole("heading", { name: "Storholmen is dark" })).toBeVisible();
  await expect(needs(page)).toContainText("3");

  await page.keyboard.press("a");
  await page.getByLabel("Note for the others").fill("On my way, with the router");
  await page.keyboard.press("Enter");

  await expect(page.getByRole("article")).toContainText("Taken by Ida Vik until");
  await expect(page.getByRole("article")).toContainText("On my way, with the router");
  await expect(needs(page)).toContainText("2");
  await expect(other.getByRole("button", { name: "Acknowledge Storholmen is dark" })).toHaveCount(0);
});

test("the fleet's worst alert is taken by one click", async ({ page }) => {
  await logIn(page);
  await page.goto("/");

  await page.getByRole("button", { name: "Acknowledge Storholmen is dark" }).click();

  await expect(page.getByRole("region", { name: "What is wrong now" }).getByText("2 need a person")).toBeVisible();
  await expect(page.getByText("3 taken")).toBeVisible();
});

test("who is told next stands beside an alert that nobody has", async ({ page }) => {
  await logIn(page);
  await page.goto("/");

  await expect(page.getByText(/Jon Aas is called in \d/)).toBeVisible();
});

test("an alert is resolved only with a word on what was done", async ({ page }) => {
  await logIn(page);
  await page.goto("/alerts/alr-00K3PD");
  await page.getByRole("button", { name: "Resolve" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Resolve" }).click();
  await expect(dialog).toBeVisible();

  await dialog.getByLabel("What was done").fill("Battery changed");
  await dialog.getByRole("button", { name: "Resolve" }).click();

  await expect(page.getByRole("article")).toContainText("Resolved by Ida Vik");
  await expect(page.getByRole("article")).toContainText("Battery changed");
});

test("a message that did not arrive is never hidden", async ({ page }) => {
  await logIn(page);
  await page.goto("/alerts/alr-00A7K2");

  const told = page.getByRole("region", { name: "Who was told" });

  await expect(told.getByRole("listitem").filter({ hasText: "not delivered" })).toContainText("number not reachable");
  await expect(told.getByRole("listitem").filter({ hasText: "push sent" })).toHaveCount(1);
});

test("keys move through the list, and none does anything while somebody types or wants none", async ({ page }) => {
  await logIn(page);
  await page.goto("/alerts");
  await expect(page.getByRole("article").getByRole("heading", { name: "Storholmen is dark" })).toBeVisible();

  await page.keyboard.press("j");
  await expect(page).toHaveURL(/alr-00M2XJ/);
  await page.keyboard.press("k");
  await expect(page).toHaveURL(/alr-00A7K2/);

  await page.keyboard.press("?");
  await page.getByLabel("Single keys do things").uncheck();
  await page.getByRole("button", { name: "Done" }).click();
  await page.keyboard.press("a");
  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test("the filter is the address: reload, back and a shared link show the same rows", async ({ page }) => {
  await logIn(page);
  await page.goto("/alerts");
  await page.getByLabel("Severity").selectOption("critical");
  await expect(page.getByRole("region", { name: "List of alerts" }).getByRole("listitem")).toHaveCount(1);

  await page.reload();

  await expect(page).toHaveURL(/severity=critical/);
  await expect(page.getByRole("region", { name: "List of alerts" }).getByRole("listitem")).toHaveCount(1);
});

test("a viewer sees what could be done, and why not by them", async ({ page }) => {
  await logIn(page, VISITOR);
  await page.goto("/alerts/alr-00A7K2");
  const acknowledge = page.getByRole("article").getByRole("button", { name: /Acknowledge/ });

  await expect(acknowledge).toHaveAttribute("aria-disabled", "true");
  await expect(acknowledge).toHaveAccessibleDescription(/viewer/i);
  await acknowledge.click({ force: true });

  await expect(page.getByRole("dialog")).toHaveCount(0);
});

test.describe("on a phone", () => {
  const { defaultBrowserType: _, ...phone } = devices["iPhone 13"];
  test.use({ ...phone, viewport: { width: 390, height: 844 } });

  test("an alert is read and taken with three taps from the first page", async ({ page }) => {
    await logIn(page, IDA);
    await page.goto("/");

    await page.getByRole("link", { name: "Storholmen is dark" }).tap();
    await page.getByRole("article").getByRole("button", { name: "Acknowledge" }).tap();
    await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).tap();

    await expect(page.getByRole("article")).toContainText("Taken by Ida Vik");
    await page.getByRole("article").getByRole("link", { name: "Alerts" }).tap();
    await expect(page.getByRole("heading", { name: /Needs a person/ })).toBeVisible();
  });
});
