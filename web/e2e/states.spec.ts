import { expect, logIn, test, VISITOR, wellDevice } from "./invented";

test("an empty company is told what comes first, and nothing is called an error", async ({ page, farm }) => {
  await farm.say("reset", { is_empty: true });
  await logIn(page);

  await page.goto("/");
  await expect(page.getByText("No farm yet.")).toBeVisible();
  await page.goto("/alerts");
  await expect(page.getByText("No alerts are open.")).toBeVisible();
  await page.goto("/devices");
  await expect(page.getByText("No device yet.")).toBeVisible();
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("a filter that matches nothing says so, counts what there is, and is cleared by one click", async ({ page }) => {
  await logIn(page);
  await page.goto("/devices?kind=camera&status=new&q=oxy");

  await expect(page.getByText("No device matches kind camera, status new, name or id “oxy”.")).toBeVisible();
  await expect(page.getByText("420 without the filter.")).toBeVisible();
  await page.getByRole("link", { name: "Clear" }).click();

  await expect(page.getByRole("row")).not.toHaveCount(0);
});

test("without the API each page says what failed and lets one try again; once it is back all comes by itself", async ({
  page,
  farm,
}) => {
  await logIn(page);
  await page.goto("/alerts");
  await expect(page.getByText("Storholmen is dark").first()).toBeVisible();
  await farm.say("away");

  await page.getByRole("link", { name: "Devices" }).first().click();
  await expect(page.getByRole("alert")).toContainText("Devices could not be loaded (Shoal's API does not answer).");
  const again = page.waitForRequest("**/bff/screens/devices*");
  await page.getByRole("button", { name: "Try again" }).click();
  await again;
  await farm.say("back");

  await expect(page.getByRole("alert")).toHaveCount(0);
  await expect(page.getByRole("link", { name: "cam-0422" })).toBeVisible();
});

test("when nothing is heard any more every status turns grey and says from when it is, until all is well again", async ({
  page,
  farm,
}) => {
  await page.clock.install();
  await logIn(page);
  await page.goto("/devices");
  await expect(page.getByText("Live,").first()).toBeVisible();
  await expect(page.locator("[data-health=silent]").first()).toBeVisible();

  await farm.say("away");
  await expect(page.getByText("Reconnecting").first()).toBeVisible();
  await page.clock.runFor(45_000);

  await expect(page.locator("[data-health]").first()).toBeVisible();
  await expect(page.locator("[data-health]:not([data-health=stale])")).toHaveCount(0);
  await expect(page.getByText(/^data from \d\d:\d\d:\d\d$/)).toBeVisible();

  await farm.say("back");
  await page.clock.runFor(35_000);

  await expect(page.locator("[data-health=silent]").first()).toBeVisible();
  await expect(page.locator("[data-health=stale]")).toHaveCount(0);
});

test("on old data nothing can be taken", async ({ page, farm }) => {
  await page.clock.install();
  await logIn(page);
  await page.goto("/");
  const acknowledge = page.getByRole("button", { name: "Acknowledge Storholmen is dark" });
  await expect(acknowledge).not.toHaveAttribute("aria-disabled", "true");
  await expect(page.getByText("Live,").first()).toBeVisible();

  await farm.say("away");
  await page.clock.runFor(45_000);

  await expect(acknowledge).toHaveAttribute("aria-disabled", "true");
  await expect(acknowledge).toHaveAccessibleDescription(/may be old/);
});

test("when monitoring itself is late a banner stands above all, and nothing beneath it has colour", async ({
  page,
  farm,
}) => {
  await logIn(page);
  await page.goto("/devices");
  await expect(page.locator("[data-health=silent]").first()).toBeVisible();

  await farm.say("delayed");

  const banner = page.getByRole("main").getByRole("status").first();
  await expect(banner).toContainText("Monitoring delayed since");
  await expect(page.locator("[data-health]:not([data-health=stale])")).toHaveCount(0);
  for (const path of ["/", "/alerts"]) {
    await page.goto(path);
    await expect(page.getByRole("main").getByRole("status").first()).toContainText("Monitoring delayed since");
  }

  await farm.say("caught-up");
  await expect(page.getByText(/Caught up/)).toBeVisible();
});

test("while a slow link loads, the headings stand already", async ({ page }) => {
  await logIn(page);
  let go = () => {};
  const held = new Promise<void>((resolve) => {
    go = resolve;
  });
  await page.route("**/bff/screens/devices*", async (route) => {
    await held;
    await route.continue();
  });

  await page.goto("/devices");
  await expect(page.getByRole("heading", { name: "Devices" })).toBeVisible();
  await expect(page.getByRole("status", { name: "Loading devices" })).toBeVisible();
  go();

  await expect(page.getByRole("link", { name: "cam-0422" })).toBeVisible();
  await expect(page.getByRole("status", { name: "Loading devices" })).toHaveCount(0);
});

test("what is not there, or not for you, is not found", async ({ page }) => {
  await logIn(page);
  await page.goto("/devices/dev-0000000");
  await expect(page.getByRole("alert")).toContainText("there is no such thing, or you may not know of it");

  await page.goto("/nowhere");
  await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
  await expect(page.getByRole("link", { name: "Go to the fleet" })).toBeVisible();
});

test("a viewer sees the update that could be made, and why not by them", async ({ page }) => {
  await logIn(page, VISITOR);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });

  await page.goto(`/devices/${camera.id}/update`);
  const install = page.getByRole("button", { name: /Install lice-detector/ });
  await expect(install).toHaveAttribute("aria-disabled", "true");
  await expect(install).toHaveAccessibleDescription(/viewer/i);
});

test("no device is healthy on the screen and late in fact", async ({ page }) => {
  await logIn(page);
  await page.goto("/devices?status=healthy");
  const answer = await page.request.get("/bff/screens/devices", { params: { status: "healthy" } });
  const { items } = (await answer.json()) as { items: { next_expected_at: string | null }[] };

  expect(items.length).toBeGreaterThan(50);
  expect(items.filter((each) => !each.next_expected_at || Date.parse(each.next_expected_at) < Date.now())).toEqual([]);
});

test("2,100 devices are counted from the first page on and scroll to the end with few rows", async ({ page, farm }) => {
  await farm.say("reset", { times: 5 });
  await logIn(page);
  await page.goto("/devices");
  await expect(page.getByText("2,100, by name")).toBeVisible();
  await expect(page.getByRole("table", { name: "Devices" })).toHaveAttribute("aria-rowcount", "2101");

  await expect(async () => {
    await page.keyboard.press("End");
    await expect(page.getByText("Loading more")).toHaveCount(0, { timeout: 500 });
  }).toPass({ timeout: 45_000 });
  await page.keyboard.press("End");

  await expect(page.getByRole("row", { name: /temp-2515/ })).toBeVisible();
  expect(await page.getByRole("row").count()).toBeLessThan(60);
});

test("with 45 farms those with nothing to do fold away", async ({ page, farm }) => {
  await farm.say("reset", { times: 5 });
  await logIn(page);
  await page.goto("/");

  await expect(page.getByText("45 farms, 420 enclosures, 2,100 devices")).toBeVisible();
  const fold = page.getByRole("button", { name: /more farms with nothing to do/ });
  await fold.click();

  await expect(page.getByRole("link", { name: "Skarvøya 5", exact: true })).toBeVisible();
});

test("the page does not jump while it loads or when a change arrives", async ({ page, farm }) => {
  await logIn(page);
  await page.goto("/");
  await expect(page.getByRole("link", { name: "Storholmen is dark" })).toBeVisible();
  await farm.say("delayed");
  await farm.say("caught-up");

  const shift = await page.evaluate(
    () =>
      new Promise<number>((resolve) => {
        let sum = 0;
        new PerformanceObserver((list) => {
          for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) {
            if (!entry.hadRecentInput) sum += entry.value;
          }
        }).observe({ type: "layout-shift", buffered: true });
        setTimeout(() => resolve(sum), 500);
      }),
  );

  expect(shift).toBeLessThan(0.1);
});
