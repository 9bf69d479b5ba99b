import { deviceNamed, expect, logIn, test, wellDevice } from "./invented";

test("an update begins with one click, shows how far it is, and says when it cannot be stopped", async ({
  page,
  farm,
}) => {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}/update`);
  await expect(page.getByText("Model13")).toBeVisible();

  await page.getByRole("button", { name: "Install lice-detector 14" }).click();
  const update = page.getByRole("region", { name: "Updates" }).getByRole("listitem").first();
  await expect(update).toContainText("waiting");

  await farm.say("update", { device: camera.id, state: "downloading", bytes: 4_718_592, reason: "" });
  await expect(update.getByRole("progressbar")).toHaveAttribute("value", "0.5");
  await expect(update).toContainText("4.5\u202fMB of 9.0\u202fMB, 50\u202f%");
  await expect(update.getByRole("button", { name: /Stop/ })).toBeVisible();

  await farm.say("update", { device: camera.id, state: "installing", bytes: 9_437_184 });
  await expect(update).toContainText("it cannot be stopped now");
  await expect(update.getByRole("button", { name: /Stop/ })).toHaveCount(0);

  await farm.say("update", { device: camera.id, state: "confirmed" });
  await expect(update.getByRole("progressbar")).toHaveCount(0);
  await expect(update).toContainText("confirmed");
});

test("how an update is delivered can be chosen, and is shown", async ({ page, farm }) => {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}/update`);
  const start = page.getByRole("region", { name: "Start an update" });
  await expect(start).toContainText("The device fetches 9.0\u202fMB when it is awake.");

  await start.getByLabel("Delivery").selectOption("push");
  await expect(start).toContainText("We write 9.0\u202fMB into the device when it is awake.");
  const asked = page.waitForRequest((request) => request.url().endsWith("/update") && request.method() === "POST");
  await start.getByRole("button", { name: "Install lice-detector 14" }).click();

  expect((await asked).postDataJSON()).toEqual({ artifact: "art-3H8V6YC", delivery: "push" });
  const update = page.getByRole("region", { name: "Updates" }).getByRole("listitem").first();
  await expect(update).toContainText("waiting");
  await farm.say("update", { device: camera.id, state: "downloading", delivery: "push", over: "coaps", bytes: 1 });
  await expect(update).toContainText("push,");
  await farm.say("update", { device: camera.id, state: "confirmed", delivery: "pull", over: "https" });
  await expect(update).toContainText("fetched over https");
});

test("a device is watched after its install, and a person may send it back", async ({ page, farm }) => {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}/update`);
  await page.getByRole("button", { name: "Install lice-detector 14" }).click();
  const updates = page.getByRole("region", { name: "Updates" });
  const update = updates.getByRole("listitem").first();
  await expect(update).toContainText("waiting");

  await farm.say("update", {
    device: camera.id,
    state: "trial",
    reason: "it reports 14",
    deadline: new Date(Date.now() + 20 * 60_000).toISOString(),
    ran_since: new Date().toISOString(),
    can_roll_back: true,
    previous_version: "13",
  });
  await expect(update).toContainText("is watched. That ends in");
  await expect(update).toContainText("it goes back to 13");
  await expect(update.getByRole("button", { name: /Stop/ })).toHaveCount(0);

  await update.getByRole("button", { name: /Roll back/ }).click();
  const dialog = page.getByRole("dialog", { name: "Back to lice-detector 13?" });
  await expect(dialog).toContainText("The watch over 14 ends here.");
  await dialog.getByRole("button", { name: "Keep 14" }).click();
  await expect(dialog).toBeHidden();
  await expect(update).toContainText("trial");

  await update.getByRole("button", { name: /Roll back/ }).click();
  await dialog.getByRole("button", { name: "Roll back" }).click();

  await expect(update).toContainText("roll back of 14");
  await expect(updates).toContainText("rolled back by Ida Vik");
  await expect(updates).toContainText(/Taken back to .*: waiting/);
  await expect(updates.getByRole("button", { name: /Roll back/ })).toHaveCount(0);
});

test("an update that was undone by itself says so", async ({ page, farm }) => {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}/update`);
  await page.getByRole("button", { name: "Install lice-detector 14" }).click();
  const update = page.getByRole("region", { name: "Updates" }).getByRole("listitem").first();
  await expect(update).toContainText("waiting");
  const reason = "it is not well since the install: It reports out of memory (high). It goes back by itself";

  await farm.say("update", { device: camera.id, state: "failed", reason });
  await expect(update).toContainText(reason);
  await farm.say("update", { device: camera.id, state: "downloading", undoes: "upd-GONE000", by: null, reason: "" });

  await expect(update).toContainText("roll back, by itself");
});

test("an update that went wrong says why, and which version was kept", async ({ page, farm }) => {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}/update`);
  await page.getByRole("button", { name: "Install lice-detector 14" }).click();
  const update = page.getByRole("region", { name: "Updates" }).getByRole("listitem").first();
  await expect(update).toContainText("waiting");

  await farm.say("update", { device: camera.id, state: "rolled_back", reason: "The model does not load" });

  await expect(update).toContainText("rolled back");
  await expect(update).toContainText("The model does not load");
  await expect(page.getByText("Model13")).toBeVisible();
});

test("an update can be stopped while it has not begun to install", async ({ page }) => {
  await logIn(page);
  const camera = await wellDevice(page, { isAsleep: false, kind: "camera" });
  await page.goto(`/devices/${camera.id}/update`);
  await page.getByRole("button", { name: "Install lice-detector 14" }).click();

  await page.getByRole("button", { name: /Stop/ }).click();

  await expect(page.getByRole("region", { name: "Updates" })).toContainText("cancelled");
});

test("a silent device says since when, why, how we know and what was ruled out", async ({ page }) => {
  await logIn(page);
  await page.goto(`/devices/${await deviceNamed(page, "oxy-0417")}`);
  const state = page.getByRole("region", { name: "State" });

  await expect(state).toContainText(/Silent for 2\u202fh 4\d\u202fmin/);
  await expect(state).toContainText("Battery empty");
  await expect(state).toContainText("Level passed 10 %");
  await expect(state).toContainText("ruled out");
  await expect(state).toContainText("Waiting for wake-up write /1/0/3 = 600 by Kari Moe");
});

test("what a device measured is a line, and a table for those who cannot see it", async ({ page }) => {
  await logIn(page);
  await page.goto(`/devices/${await deviceNamed(page, "oxy-0417")}`);
  const readings = page.getByRole("region", { name: "Readings" });

  await expect(readings.getByRole("img")).toHaveAccessibleName(/^Dissolved oxygen, between .* no readings since/);
  await page.keyboard.press("4");
  await expect(page).toHaveURL(/range=7d/);
  await expect(readings.getByRole("radio", { name: "7 d" })).toBeChecked();
  await readings.getByText("As a table").click();

  await expect(readings.getByRole("columnheader", { name: "Lowest" })).toBeVisible();
});

test("a device that says it hangs elsewhere is moved by one click", async ({ page }) => {
  await logIn(page);
  const answer = await page.request.get("/bff/screens/devices", { params: { q: "salt", kind: "sensor" } });
  const { items } = (await answer.json()) as { items: { id: string; place: { state: string } }[] };
  const disputed = items.find((each) => each.place.state === "mismatch");
  await page.goto(`/devices/${disputed?.id}`);

  await page.getByRole("button", { name: /Pen 5/ }).click();

  await expect(page.getByRole("region", { name: "Place", exact: true })).toContainText("Pen 5");
  await expect(page.getByRole("region", { name: "Place", exact: true })).toContainText("the same");
});
