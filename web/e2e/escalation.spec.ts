import type { Page } from "@playwright/test";
import { expect, logIn, test, VISITOR } from "./invented";

const steps = (page: Page, policy: string) => page.getByRole("article", { name: policy }).getByRole("listitem");

test("a policy is a picture of time: who is told after how long", async ({ page }) => {
  await logIn(page);
  await page.goto("/");
  await page.getByRole("link", { name: "Escalation" }).click();

  await expect(steps(page, "Night shift")).toHaveText([
    /At once.*Ida Vik/,
    /After 5.min.*Kari Moe.*by mail first/,
    /After 15.min.*Jon Aas.*by webhook first/,
    /If nobody takes it.*2 more rounds, one every 30.min, then everybody/,
  ]);
  await expect(steps(page, "Default").first()).toContainText("Everybody");
});

test("a rehearsal says who would be told when", async ({ page }) => {
  await logIn(page);
  await page.goto("/escalation");
  const rehearsal = page.getByRole("region", { name: "Rehearsal" });
  await expect(rehearsal).toContainText("By Oxygen, Pen 4:");

  await rehearsal.getByLabel("Severity").selectOption("high");

  await expect(rehearsal).toContainText("By Night shift:");
  await expect(rehearsal.getByRole("listitem").first()).toContainText("Ida Vik by mail");
  await expect(page).toHaveURL(/severity=high/);
  await expect(rehearsal).toContainText("To be taken within 15");
});

test("a policy is written, drawn while it is written, and asked in the order that people give it", async ({ page }) => {
  await logIn(page);
  await page.goto("/escalation");
  await page.getByRole("link", { name: "New policy" }).click();
  await page.getByLabel("Name").fill("Weekend");
  await page.getByLabel("Who", { exact: true }).selectOption("Kari Moe");
  await page.getByRole("button", { name: "Add a step" }).click();
  await page.getByRole("group", { name: "Step 2" }).getByLabel("Who", { exact: true }).selectOption("Everybody");
  await page.getByRole("group", { name: "Step 2" }).getByLabel("How").selectOption("all their ways at once");
  const drawn = page.getByRole("region", { name: "What it says" }).getByRole("listitem");
  await expect(drawn).toHaveText([/At once.*Kari Moe/, /After 5.min.*Everybody.*all their ways/, /everybody was told/]);

  await page.getByRole("button", { name: "Save" }).click();
  await page.getByRole("button", { name: "Ask Weekend earlier" }).click();

  await expect(page.getByRole("article").getByRole("heading")).toHaveText([
    "Oxygen, Pen 4",
    "Weekend",
    "Night shift",
    "Default",
  ]);
});

test("a policy that ends in nobody is refused by the step, and what was written stays", async ({ page }) => {
  await logIn(page);
  await page.goto("/escalation/pol-00000001");
  await page.getByRole("button", { name: "Take Kari Moe away" }).click();

  await page.getByRole("button", { name: "Save" }).click();

  await expect(page.getByRole("alert")).toHaveText(/Not saved. Step 2 ends in nobody/);
  await page.getByRole("group", { name: "Step 2" }).getByLabel("After (min)").fill("soon");
  await expect(page.getByText("A time is not a number of minutes.")).toBeVisible();
});

test("what somebody else changed meanwhile is not overwritten", async ({ page, context }) => {
  await logIn(page);
  const other = await context.newPage();
  for (const each of [page, other]) {
    await each.goto("/escalation/pol-00000001");
    await expect(each.getByLabel("Name")).toHaveValue("Night shift");
  }
  await other.getByLabel("Name").fill("Nights");
  await other.getByRole("button", { name: "Save" }).click();
  await expect(other.getByRole("article", { name: "Nights" })).toBeVisible();

  await page.getByRole("button", { name: "Save" }).click();

  await expect(page.getByRole("alert")).toContainText("somebody changed it since you opened it");
});

test("a policy is deleted only when asked twice", async ({ page }) => {
  await logIn(page);
  await page.goto("/escalation/pol-00000001");
  await page.getByRole("button", { name: "Delete Night shift" }).click();

  await page.getByRole("dialog").getByRole("button", { name: "Delete Night shift" }).click();

  await expect(page.getByRole("article")).toHaveCount(2);
});

test("somebody is reached by several ways in an order, and a test shows what arrives", async ({ page }) => {
  await logIn(page);
  await page.goto("/settings/contacts");
  await page.getByRole("button", { name: "New contact" }).click();
  await page.getByLabel("Name").fill("Ola Aas");
  await page.getByLabel("Mail address").fill("ola@nordvik.example");
  await page.getByRole("button", { name: "Add a way" }).click();
  await page.getByLabel("Way 2", { exact: true }).selectOption("webhook");
  await page.getByRole("button", { name: "Save" }).click();

  const ways = page.getByRole("list", { name: "Ways to Ola Aas" }).getByRole("listitem");
  await expect(ways).toHaveText([/mail ola@nordvik.example never used/, /webhook Duty phone never used/]);
  await page.getByRole("button", { name: "Test Ola Aas" }).click();

  await expect(ways).toHaveText([/last sent just now/, /last sent just now/]);
});

test("a way that failed says so, and why", async ({ page }) => {
  await logIn(page);
  await page.goto("/settings/contacts");

  await expect(page.getByRole("list", { name: "Ways to Kari Moe" })).toContainText(
    "failed 9 min ago: 550 no such user",
  );
});

test("the secret of a new webhook is shown once, and a test says what came of it", async ({ page }) => {
  await logIn(page);
  await page.goto("/settings/channels");
  await page.getByRole("button", { name: "New webhook" }).click();
  await page.getByLabel("Name").fill("Siren");
  await page.getByLabel("URL").fill("http://hooks.example/siren");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("alert")).toContainText("of the form https://host/path");
  await page.getByLabel("URL").fill("https://hooks.example/siren");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("whsec_only-for-tests")).toBeVisible();

  await page.getByRole("button", { name: "I have kept it" }).click();
  await page.getByRole("button", { name: "Test Siren" }).click();

  await expect(page.getByText("Test arrived just now: answered 202")).toBeVisible();
  await expect(page.getByText("whsec_")).toHaveCount(0);
});

test("an alert shows who was told by what, what failed, who is next and by whose word", async ({ page }) => {
  await logIn(page);
  await page.goto("/alerts/alr-00A7K2");
  const told = page.getByRole("article").getByRole("region", { name: "Who was told" });

  await expect(told.getByRole("listitem")).toHaveText([
    /Ida Vik SMS delivered/,
    /Kari Moe SMS not delivered: number not reachable/,
    /Kari Moe push sent/,
    /Jon Aas call in \d/,
    /Ida Vik and Kari Moe mail/,
  ]);
  await expect(told).toContainText(/To be taken by (tomorrow )?\d\d:\d\d, in \d/);
  await page
    .getByRole("article")
    .getByRole("button", { name: /Acknowledge/ })
    .click();
  await page.keyboard.press("Enter");

  await expect(told.getByRole("listitem")).toHaveCount(3);
  await expect(told).toContainText(/To be resolved by (tomorrow )?\d\d:\d\d/);
  await told.getByRole("link", { name: "Night shift" }).click();
  await expect(page.getByLabel("Name")).toHaveValue("Night shift");
});

test("where there are no contacts it says that nobody would be told", async ({ page, farm }) => {
  await farm.say("reset", { is_empty: true });
  await logIn(page);
  await page.goto("/escalation");

  await expect(page.getByText("Nobody would be told: there are no contacts yet.")).toBeVisible();
  await page.getByRole("link", { name: "Add the first one" }).click();
  await expect(page.getByText("Nobody is told of alerts: there are no contacts yet.")).toBeVisible();
});

test("when Shoal's API is away each page says so and comes back", async ({ page, farm }) => {
  await logIn(page);
  await page.goto("/alerts");
  await expect(page.getByRole("heading", { name: "Storholmen is dark" })).toBeVisible();
  await farm.say("away");
  await page.getByRole("link", { name: "Escalation" }).click();
  await expect(page.getByText("Escalation could not be loaded")).toBeVisible({ timeout: 20_000 });

  await farm.say("back");
  await page.getByRole("button", { name: "Try again" }).click();

  await expect(page.getByRole("article", { name: "Night shift" })).toBeVisible();
});

test("a viewer sees all of it, and why nothing can be changed", async ({ page }) => {
  await logIn(page, VISITOR);
  await page.goto("/settings/contacts");

  const edit = page.getByRole("button", { name: "Edit Kari Moe" });
  await expect(edit).toHaveAttribute("aria-disabled", "true");
  await expect(edit).toHaveAccessibleDescription(/Viewers may look/);
});

test.describe("a phone", () => {
  test.use({ viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true });

  test("the way to escalation is under More", async ({ page }) => {
    await logIn(page);
    await page.goto("/");

    await page.getByRole("button", { name: "More" }).click();
    await page.getByRole("link", { name: /Escalation/ }).click();

    await expect(page.getByRole("heading", { name: "Escalation" })).toBeVisible();
    await expect(page.getByRole("dialog")).toHaveCount(0);
  });
});
