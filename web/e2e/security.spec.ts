import { deviceNamed, expect, logIn, test } from "./invented";

test.beforeEach(async ({ page }) => logIn(page));

test("who was not let in is found from the menu, with what to do and a way to the device", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("button", { name: /log out/i }).click();
  await page.getByRole("link", { name: /Security log/ }).click();

  const first = page.getByRole("listitem").first();
  await expect(first).toContainText("Wrong key");
  await expect(first).toContainText("14 times since");
  await expect(first).toContainText("Give it a new one, and put that into the device.");
  await first.getByRole("link", { name: "oxy-0418" }).click();
  await expect(page).toHaveURL(new RegExp(`/devices/${await deviceNamed(page, "oxy-0418")}`));
  await expect(page.getByRole("region", { name: "State" })).toContainText(
    /Handshake refused: wrong key, 14 times since .* from 10\.0\.0\.7/,
  );
});

test("the list is narrowed by reason, address and what is typed, and back", async ({ page }) => {
  await page.goto("/security");
  await expect(page.getByRole("listitem")).toHaveCount(50);
  await page.getByRole("button", { name: "Older" }).click();
  await expect(page.getByRole("listitem")).toHaveCount(60);

  await page.getByLabel("Reason").selectOption({ label: "Unknown identity" });
  await expect(page.getByRole("listitem")).toHaveCount(2);
  await expect(page.getByRole("listitem").last()).toContainText("under many other names");
  await page.getByRole("link", { name: "203.0.113.5" }).click();
  await expect(page.getByRole("listitem")).toHaveCount(1);
  await expect(page).toHaveURL(/reason=unknown_identity.*address=/);

  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByRole("searchbox", { name: "Who, device or address" }).fill("501");
  await expect(page.getByRole("listitem")).toHaveCount(1);
  await expect(page.getByRole("listitem")).toContainText("oxy-501");

  await page.getByRole("searchbox", { name: "Who, device or address" }).fill("nobody");
  await expect(page.getByText("Nothing matches this filter.")).toBeVisible();
});

test("a new entry appears by itself", async ({ page, farm }) => {
  await page.goto("/security?reason=no_shared_suite");
  await expect(page.getByText("Nothing matches this filter.")).toBeVisible();

  await farm.say("refused", { reason: "no_shared_suite", identity: "cam-9" });

  await expect(page.getByRole("listitem")).toContainText("No cipher suite in common");
});

test("what somebody may not and asked for is told with where and why, and found by who it was", async ({ page }) => {
  await page.goto("/security?reason=no_policy_allows");
  const line = page.getByRole("listitem");
  await expect(line).toContainText("No policy allows it");
  await expect(line).toContainText("2 times since");
  await expect(line).toContainText("asked to administer at Storholmen");
  await expect(line).toContainText("No: no policy allows it. Asked as technician.");

  await page.goto("/security");
  await page.getByRole("link", { name: "Kari Moe" }).click();
  await expect(page).toHaveURL(/subject=usr-KAR00002/);
  await expect(page.getByRole("listitem")).toHaveCount(1);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByRole("searchbox", { name: "Who, device or address" }).fill("kari");
  await expect(page.getByRole("listitem")).toHaveCount(1);
});
