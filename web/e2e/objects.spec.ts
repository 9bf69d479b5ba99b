import { readFileSync } from "node:fs";
import type { Locator, Page } from "@playwright/test";
import { expect, logIn, test, VISITOR, wellDevice } from "./invented";

/** An object of its maker with one resource of each type (fake_tree.py). */
const FEEDER = "/32001/0";
const PHONE = { width: 390, height: 844 };

const resource = (page: Page, path: string): Locator =>
  page.getByRole("listitem").filter({ has: page.getByText(path, { exact: true }) });

test("a read asks the device, and says what it answered and when", async ({ page }) => {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}`);

  await resource(page, "/4/0/2").getByRole("button", { name: "Read Radio Signal Strength" }).click();

  await expect(resource(page, "/4/0/2").getByRole("status")).toContainText(
    `dBm, from ${camera.name}, just now, after 212\u202fms`,
  );
});

test("a write is checked before it is sent, and what is shown after is what was read back", async ({ page }) => {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}`);
  const sent: string[] = [];
  page.on("request", (request) => request.url().endsWith("/write") && sent.push(request.url()));

  await resource(page, "/1/0/1").getByRole("button", { name: "Write Lifetime" }).click();
  const field = page.getByRole("dialog").getByLabel("Lifetime");
  await field.fill("5");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog").getByRole("alert")).toHaveText("This must be between 60 and 86,400.");
  expect(sent).toEqual([]);
  await field.fill("600");
  await page.keyboard.press("Enter");

  await expect(resource(page, "/1/0/1").getByRole("status")).toContainText(`${camera.name} took it, just now`);
  await expect(resource(page, "/1/0/1")).toContainText("600\u202fs");
});

test("what cannot be undone from afar asks for the device's name", async ({ page }) => {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}`);

  await resource(page, "/3/0/5").getByRole("button", { name: "Execute Factory Reset" }).click();
  const dialog = page.getByRole("dialog");
  const execute = dialog.getByRole("button", { name: "Execute Factory Reset" });
  await expect(execute).toHaveAttribute("aria-disabled", "true");
  await dialog.getByLabel(`Type ${camera.name} to confirm`).fill(camera.name);
  await execute.click();

  await expect(resource(page, "/3/0/5").getByRole("status")).toContainText(`${camera.name} does it, just now`);
});

test("for a device that sleeps the command waits, says until when, and can be withdrawn", async ({ page }) => {
  await logIn(page);
  const sensor = await wellDevice(page, { isAsleep: true, kind: "sensor" });
  await page.goto(`/devices/${sensor.id}`);

  await resource(page, "/3/0/9").getByRole("button", { name: "Read Battery Level" }).click();
  const said = resource(page, "/3/0/9").getByRole("status");
  await expect(said).toContainText("Queued, waiting for wake-up.");
  await expect(said).toContainText(new RegExp(`${sensor.name} wakes in \\d+`));
  await expect(page.getByRole("list", { name: "Waiting commands" })).toContainText("read /3/0/9");
  await said.getByRole("button", { name: "Cancel" }).click();

  await expect(page.getByRole("list", { name: "Waiting commands" })).toHaveCount(0);
});

test("a device that refuses is quoted, and nothing is claimed to have changed", async ({ page }) => {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}`);

  await resource(page, "/5/0/2").getByRole("button", { name: "Execute Update" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Execute Update" }).click();

  await expect(resource(page, "/5/0/2").getByRole("status")).toHaveText(
    `${camera.name} refused to execute: 4.05 method not allowed. Nothing changed. It does not offer that here.`,
  );
});

/** The tree of a camera that answers at once. */
async function awake(page: Page): Promise<string> {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}`);
  await expect(page.getByRole("searchbox", { name: "Name or path" })).toBeVisible();
  return camera.name;
}

async function write(page: Page, name: string, fill: (field: Locator) => Promise<unknown>): Promise<void> {
  await page.getByRole("button", { name: `Write ${name}` }).click();
  const dialog = page.getByRole("dialog");
  await fill(dialog.getByLabel(name, { exact: true }));
  await dialog.getByRole("button", { name: /^Write to/ }).click();
}

test("every type has a field that fits, and what comes back is what was written", async ({ page }) => {
  const name = await awake(page);
  const row = (number: number) => resource(page, `${FEEDER}/${number}`);

  await write(page, "Feed", (field) => field.fill("wrasse 2 mm"));
  await expect(row(0)).toContainText("wrasse 2 mm");
  await write(page, "Rate", (field) => field.fill("2,5"));
  await expect(row(2)).toContainText("2.5\u202fkg/s");
  await write(page, "Enabled", (field) => field.selectOption("no"));
  await expect(row(3).getByText("no", { exact: true })).toBeVisible();
  await write(page, "Next Meal", (field) => field.fill("2026-12-24T16:30:00"));
  await expect(row(5)).toContainText("24 Dec 2026, 16:30:00 CET");
  await write(page, "Sensor", (field) => field.selectOption("Device /3/0"));
  await expect(row(6)).toContainText("/3/0");
  await write(page, "Sources", (field) => field.fill("</5/0/3>;pmin=10"));
  await expect(row(7)).toContainText("/5/0/3 (pmin=10)");
  await write(page, "Mode", (field) => field.selectOption("by appetite (2)"));
  await expect(row(8)).toContainText("by appetite (2)");
  await expect(row(8).getByRole("status")).toContainText(`${name} took it`);
});

test("a number of 64 bit loses no digit, and one more is refused before it is sent", async ({ page }) => {
  await awake(page);
  const row = resource(page, `${FEEDER}/1`);
  await expect(row).toContainText("18,446,744,073,709,551,615");

  await page.getByRole("button", { name: "Write Pellets Fed" }).click();
  const field = page.getByRole("dialog").getByLabel("Pellets Fed");
  await expect(field).toHaveValue("18446744073709551615");
  await field.fill("18446744073709551616");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("dialog").getByRole("alert")).toContainText("between 0 and 18,446,744,073,709,551,615");
  const asked = page.waitForRequest((request) => request.url().endsWith("/write"));
  await field.fill("18446744073709551614");
  await page.keyboard.press("Enter");

  expect((await asked).postDataJSON().value).toBe("18446744073709551614");
  await expect(row).toContainText("18,446,744,073,709,551,614");
});

test("bytes are typed, taken from a file, counted, and saved as a file", async ({ page }) => {
  await awake(page);
  const row = resource(page, `${FEEDER}/4`);
  await expect(row).toContainText("40\u202fB: 00 01 02");

  await page.getByRole("button", { name: "Write Recipe" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Recipe").fill("de ad b");
  await dialog.getByRole("button", { name: /^Write to/ }).click();
  await expect(dialog.getByRole("alert")).toContainText("pairs of 0 to 9 and a to f");
  await dialog
    .getByLabel("Or the bytes of a file")
    .setInputFiles({ name: "recipe.bin", mimeType: "application/octet-stream", buffer: Buffer.from([1, 2, 255]) });
  await expect(dialog.getByLabel("Recipe")).toHaveValue("01 02 ff");
  await dialog.getByRole("button", { name: /^Write to/ }).click();
  await expect(row).toContainText("3\u202fB: 01 02 ff");

  const saving = page.waitForEvent("download");
  await row.getByRole("button", { name: "Save Recipe as a file" }).click();
  const saved = await saving;
  expect(saved.suggestedFilename()).toBe("32001-0-4.bin");
  expect([...readFileSync(await saved.path())]).toEqual([1, 2, 255]);
});

test("instances of a resource are added and changed alone, and removed by writing the others anew", async ({
  page,
}) => {
  await awake(page);
  const row = resource(page, `${FEEDER}/9`);
  const bodies: { values: object; partial: boolean }[] = [];
  page.on("request", (request) => request.url().endsWith("/write") && bodies.push(request.postDataJSON()));
  const open = async () => {
    await page.getByRole("button", { name: "Write Hours" }).click();
    return page.getByRole("dialog");
  };

  let dialog = await open();
  await dialog.getByRole("button", { name: "Add one" }).click();
  await dialog.getByLabel("Hours 2").fill("24");
  await dialog.getByRole("button", { name: /^Write to/ }).click();
  await expect(dialog.getByRole("alert")).toHaveText("This must be between 0 and 23.");
  await dialog.getByLabel("Hours 2").fill("22");
  await dialog.getByRole("button", { name: /^Write to/ }).click();
  await expect(row).toContainText("2: 22\u202fh");
  dialog = await open();
  await dialog.getByRole("button", { name: "Remove 0" }).click();
  await expect(dialog.getByRole("status")).toContainText("All instances are written anew, without 0.");
  await dialog.getByRole("button", { name: /^Write to/ }).click();
  await expect(row).not.toContainText("0: 6");

  expect(bodies.map(({ values, partial }) => ({ values, partial }))).toEqual([
    { values: { "2": 22 }, partial: true },
    { values: { "1": 18, "2": 22 }, partial: false },
  ]);
});

test("an instance is made from what its definition says, and deleted after saying what is lost", async ({ page }) => {
  const name = await awake(page);

  await page.getByRole("button", { name: "New instance of Feeder" }).click();
  const dialog = page.getByRole("dialog", { name: "New Feeder" });
  await dialog.getByLabel("Number").fill("0");
  await dialog.getByLabel("Rate").fill("9");
  await dialog.getByRole("button", { name: `Make it on ${name}` }).click();
  await expect(dialog.getByRole("alert")).toHaveText([
    "There is one of this number.",
    "This must be between 0 and 4.5.",
  ]);
  await dialog.getByLabel("Number").fill("");
  await dialog.getByLabel("Rate").fill("2");
  await dialog.getByLabel("Hours").fill("7");
  await dialog.getByRole("button", { name: `Make it on ${name}` }).click();
  const made = page.getByRole("region", { name: "Feeder /32001/1" });
  await expect(made).toContainText("2\u202fkg/s");
  await expect(made).toContainText("0: 7\u202fh");

  await made.getByRole("button", { name: "Delete /32001/1" }).click();
  const question = page.getByRole("dialog", { name: "Delete Feeder /32001/1?" });
  await expect(question).toContainText(`${name} loses its 2 values there`);
  await question.getByRole("button", { name: "Delete Feeder /32001/1" }).click();

  await expect(made).toHaveCount(0);
  await expect(page.getByRole("button", { name: "Delete /3/0" })).toHaveCount(0);
});

test("arguments go with an execute, and those that cannot be sent are refused here", async ({ page }) => {
  const name = await awake(page);
  await page.getByRole("button", { name: "Execute Feed Now" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByRole("button", { name: "Add an argument" }).click();
  await dialog.getByRole("button", { name: "Add an argument" }).click();
  await dialog.getByLabel("Argument 0").fill("it's");
  await expect(dialog.getByRole("button", { name: "Execute Feed Now" })).toHaveAttribute("aria-disabled", "true");
  await dialog.getByLabel("Argument 0").fill("4.5");
  const asked = page.waitForRequest((request) => request.url().endsWith("/execute"));
  await dialog.getByRole("button", { name: "Execute Feed Now" }).click();

  expect((await asked).postDataJSON()).toEqual({ path: `${FEEDER}/10`, arguments: { "0": "4.5", "1": null } });
  await expect(resource(page, `${FEEDER}/10`).getByRole("status")).toContainText(`${name} does it`);
});

test("an object, an instance and all of the device are read at once", async ({ page }) => {
  const name = await awake(page);

  await page.getByRole("button", { name: "Read all of Device" }).click();
  await expect(page.getByText(new RegExp(`^\\d+ values, from ${name}, just now`)).first()).toBeVisible();
  await page.getByRole("button", { name: "Read /32001/0" }).click();
  await expect(page.getByText(`11 values, from ${name}, just now`)).toBeVisible();
  await page.getByRole("button", { name: "Read all", exact: true }).click();

  await expect(page.getByRole("status", { name: "Reading all" })).toHaveText("7 objects read.");
});

test("what a device reports by itself is said in words, with why, and what differs comes first", async ({ page }) => {
  await awake(page);
  const objects = page.getByRole("region", { name: "Objects" });
  await expect(resource(page, "/3/0/9")).toContainText("reports at least every 30\u202fmin");

  await objects.getByText("Reports by itself").click();
  await expect(objects.getByText("1 not as wanted")).toBeVisible();
  const first = objects.getByRole("group").first().getByRole("listitem").first();

  await expect(first).toContainText("Radio Signal Strength refuses to report (4.05)");
  await expect(first).toContainText("its profile wants it");
});

test("reporting is switched on, given its terms, switched off, and left to the profile again", async ({ page }) => {
  const name = await awake(page);
  const row = resource(page, `${FEEDER}/2`);
  const open = async () => {
    await page.getByRole("button", { name: "Reporting Rate" }).click();
    return page.getByRole("dialog", { name: "Reporting: Rate" });
  };

  let dialog = await open();
  const choice = () => dialog.getByLabel(`Does ${name} report this by itself?`);
  await choice().selectOption("yes, on this device");
  await dialog.getByLabel("At most every", { exact: true }).fill("60");
  await dialog.getByLabel("At least every", { exact: true }).fill("10");
  await dialog.getByLabel("When it rises above").fill("4");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByRole("alert")).toHaveText("This must not be less than the shortest time.");
  await dialog.getByLabel("At least every", { exact: true }).fill("600");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toHaveCount(0);
  await expect(row).toContainText("to report, not asked yet");
  dialog = await open();
  await expect(dialog.getByLabel("At least every", { exact: true })).toHaveValue("600");
  await expect(dialog).toContainText("said by Ida Vik for this device");
  await choice().selectOption("no, not on this device");
  await expect(dialog.getByLabel("At least every", { exact: true })).toHaveCount(0);
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog).toHaveCount(0);
  await expect(row).toContainText("not to report");
  dialog = await open();
  await choice().selectOption("as its profile says");
  await dialog.getByRole("button", { name: "Save" }).click();

  await expect(row).not.toContainText("report");
});

test("attributes that are set on the device are asked for, inherited ones in grey, and taken back", async ({
  page,
}) => {
  const name = await awake(page);

  await page.getByRole("button", { name: "Reporting /32001/0" }).click();
  let dialog = page.getByRole("dialog");
  await dialog.getByLabel("At most every", { exact: true }).fill("30");
  await dialog.getByRole("button", { name: "Save" }).click();
  await expect(dialog.getByText(`${name} took it`)).toBeVisible();
  await dialog.getByRole("button", { name: "Close" }).click();
  await page.getByRole("button", { name: "Reporting Rate" }).click();
  dialog = page.getByRole("dialog");
  const set = dialog.getByRole("region", { name: "Set on the device" });
  await expect(set).toContainText("Not asked yet.");
  await set.getByRole("button", { name: `Ask ${name}` }).click();

  await expect(set.getByRole("listitem")).toHaveText("at most every 30\u202fs from /32001/0");
  await expect(set.getByRole("listitem")).toHaveClass("muted");
  await dialog.getByRole("button", { name: "Leave it" }).click();
  await page.getByRole("button", { name: "Reporting /32001/0" }).click();
  const asked = page.waitForRequest((request) => request.url().endsWith("/attributes"));
  await page.getByRole("dialog").getByRole("button", { name: "Clear all" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Save" }).click();
  expect((await asked).postDataJSON()).toEqual({ path: FEEDER, attributes: { pmin: null } });
});

test("what somebody else changed meanwhile is not overwritten", async ({ page }) => {
  await awake(page);
  await page.getByRole("button", { name: "Reporting Rate" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel(/report this by itself/).selectOption("yes, on this device");
  await page.route("**/observe", (route) =>
    route.fulfill({ status: 412, json: { type: "outdated", title: "/32001/0/2 was changed since it was read" } }),
  );

  await dialog.getByRole("button", { name: "Save" }).click();

  await expect(dialog.getByRole("alert")).toContainText("Not saved (/32001/0/2 was changed since it was read).");
});

test("an object that nobody defined is shown with what the device told", async ({ page }) => {
  await awake(page);
  const unknown = page.getByRole("group").filter({ hasText: "Object 32009" });

  await expect(unknown).toContainText("Nothing defines it: types are those of the values that came.");
  await expect(resource(page, "/32009/0/0")).toContainText("Resource 0integer");
  await expect(resource(page, "/32009/0/1")).toContainText("kelp");
  const bytes = resource(page, "/32009/0/2");
  await expect(bytes).toContainText("3\u202fB: 00 01 02");
  await expect(bytes.getByRole("button", { name: "Save Resource 2 as a file" })).toBeVisible();
  await bytes.getByRole("button", { name: "Read Resource 2" }).click();
  await expect(bytes.getByRole("button", { name: "Save what was read of /32009/0/2 as a file" })).toBeVisible();
  await expect(resource(page, "/32009/0/3")).toContainText("/3303/0");
  await expect(resource(page, "/32009/0/3")).toContainText("object link");
});

test("a viewer sees the tree, and nothing to change it with", async ({ page }) => {
  await logIn(page, VISITOR);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}`);
  const objects = page.getByRole("region", { name: "Objects" });
  await expect(objects).toContainText("Viewers may look, but not change anything.");
  await expect(resource(page, "/1/0/1")).toContainText("Lifetime");

  await expect(objects.getByRole("button")).toHaveText(["Save Recipe as a file", "Save Resource 2 as a file"]);
});

test("three hundred resources are there at once, and a search finds one of them while typing", async ({ page }) => {
  await page.route("**/bff/screens/devices/*/objects", async (route) => {
    const answer = await route.fetch();
    const screen = (await answer.json()) as {
      objects: { path: string; instances: { path: string; resources: { path: string }[] }[] }[];
    };
    const feeder = screen.objects.find(({ path }) => path === "/32001");
    const [first] = feeder?.instances ?? [];
    for (let number = 1; feeder && first && number < 30; number++) {
      const moved = first.resources.map((each) => ({
        ...each,
        path: each.path.replace("/32001/0", `/32001/${number}`),
      }));
      feeder.instances.push({ path: `/32001/${number}`, resources: moved });
    }
    await route.fulfill({ response: answer, json: screen });
  });
  await awake(page);
  await expect(resource(page, "/32001/29/10")).toHaveCount(1);

  await page.getByRole("searchbox", { name: "Name or path" }).pressSequentially("/32001/17/2");

  await expect(resource(page, "/32001/17/2")).toBeVisible();
  await expect(resource(page, "/32001/18/2")).toHaveCount(0);
});

test("on a phone every control of the tree is large enough for a wet finger, and nothing runs over the edge", async ({
  page,
}) => {
  await page.setViewportSize(PHONE);
  await awake(page);
  await page.getByRole("searchbox", { name: "Name or path" }).fill("feeder");
  await expect(resource(page, `${FEEDER}/0`)).toBeVisible();
  const objects = page.getByRole("region", { name: "Objects" });
  const small = async (within: Locator) =>
    within.locator("button, input, select, textarea, summary").evaluateAll((all) =>
      all
        .filter((each) => each.checkVisibility())
        .filter((each) => each.getBoundingClientRect().height < 44)
        .map((each) => each.outerHTML.slice(0, 80)),
    );
  expect(await small(objects)).toEqual([]);
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(PHONE.width);

  for (const name of ["Reporting Rate", "Write Recipe", "Write Hours", "New instance of Feeder", "Execute Feed Now"]) {
    await page.getByRole("button", { name, exact: true }).click();
    const dialog = page.getByRole("dialog");
    if (name.startsWith("Reporting"))
      await dialog.getByLabel(/report this by itself/).selectOption("yes, on this device");
    expect(await small(dialog), name).toEqual([]);
    expect(await dialog.evaluate((element) => element.scrollWidth - element.clientWidth), name).toBe(0);
    await page.keyboard.press("Escape");
  }
});

for (const width of [1440, 1280, 1024, 800, 640]) {
  test(`in a window of ${width} pixels every button of the tree is whole`, async ({ page }) => {
    await page.setViewportSize({ width, height: 900 });
    await awake(page);
    const objects = page.getByRole("region", { name: "Objects" });

    const cut = await objects.evaluate((section) => {
      const edge = section.getBoundingClientRect();
      return [...section.querySelectorAll("button")]
        .filter((button) => {
          const { left, right } = button.getBoundingClientRect();
          return left < edge.left || right > edge.right;
        })
        .map((button) => button.textContent);
    });

    expect(cut).toEqual([]);
  });
}
