import { deviceNamed, expect, logIn, test, VISITOR } from "./invented";

test.beforeEach(async ({ page }) => logIn(page));

test("a new key takes over from the old one, and is shown once", async ({ page }) => {
  await page.goto(`/devices/${await deviceNamed(page, "oxy-0418")}`);
  await page.getByRole("link", { name: "Credentials" }).click();
  const list = page.getByRole("region", { name: "Credentials" });
  await expect(list.getByRole("listitem")).toHaveCount(3);
  await expect(list.getByRole("listitem").nth(1)).toContainText("Goes on until the new one is used");

  await page.getByRole("button", { name: "New key" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Identity").fill("oxy-0418-c");
  await expect(dialog.getByLabel("The old one goes on")).toHaveValue("seen");
  await dialog.getByRole("button", { name: "Make a key" }).click();

  await expect(dialog).toContainText("You will not see this key again.");
  await expect(dialog.getByText("ffeeddccbbaa99887766554433221100")).toBeVisible();
  await dialog.getByRole("button", { name: "Done" }).click();
  await expect(page.getByText("ffeeddccbbaa99887766554433221100")).toHaveCount(0);
  await expect(list.getByRole("listitem").first()).toContainText("oxy-0418-c");
});

test("the last credential goes only when somebody has read that the device is cut off", async ({ page }) => {
  await page.goto(`/devices/${await deviceNamed(page, "oxy-0419")}/credentials`);
  await page.getByRole("button", { name: "Revoke oxy-0419" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("It is the last one. oxy-0419 cannot connect any more");

  await dialog.getByRole("button", { name: "Leave it" }).click();
  await page.getByRole("button", { name: "Revoke oxy-0419" }).click();
  await dialog.getByRole("button", { name: "Revoke, and cut oxy-0419 off" }).click();

  await expect(page.getByText("With none of these it can connect.")).toBeVisible();
  await expect(page.getByRole("region", { name: "Credentials" }).getByRole("listitem")).toContainText("Revoked");
});

test("a certificate that is none is refused in words, and nothing is lost", async ({ page }) => {
  await page.goto(`/devices/${await deviceNamed(page, "oxy-0419")}/credentials`);
  await page.getByRole("button", { name: "Pin a certificate" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Certificate (PEM)").fill("-----BEGIN BROKEN-----");
  await dialog.getByRole("button", { name: "Take the certificate" }).click();

  await expect(dialog.getByRole("alert")).toContainText("not a certificate in PEM");
  await expect(dialog.getByLabel("Certificate (PEM)")).toHaveValue("-----BEGIN BROKEN-----");
});

test("what ends soon is found from the fleet, and leads to the device", async ({ page }) => {
  await page.goto("/");
  await page.getByRole("link", { name: "1 credential ends soon" }).click();
  await expect(page.getByRole("listitem")).toHaveCount(2);
  await page.getByRole("link", { name: /oxy-0419/ }).click();

  await expect(page.getByText("CN=Nordvik devices")).toBeVisible();
});

test("who may only look sees the credentials and why nothing can be changed", async ({ page, context }) => {
  await context.clearCookies();
  await logIn(page, VISITOR);
  await page.goto(`/devices/${await deviceNamed(page, "oxy-0418")}/credentials`);

  await expect(page.getByRole("button", { name: "New key" })).toHaveAttribute("aria-disabled", "true");
});
