import { expect, logIn, test, VISITOR } from "./invented";

test("who is there, as what and where, is found from the menu; a role is given at one farm", async ({ page }) => {
  await logIn(page);
  await page.goto("/");
  await page.getByRole("button", { name: /log out/i }).click();
  await page.getByRole("link", { name: "People and policies" }).click();

  const people = page.getByRole("list", { name: "People" });
  await expect(people.getByRole("listitem")).toHaveCount(3);
  await expect(people).toContainText("technician at");

  await page.getByRole("button", { name: "Edit Vera Lund" }).click();
  await page.getByLabel("Role").selectOption("technician");
  await page.getByLabel("Where").selectOption({ index: 1 });
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("dialog")).toHaveCount(0);
  await expect(people.getByRole("listitem").filter({ hasText: "Vera Lund" })).toContainText("technician at");
});

test("nobody locks themselves out unawares", async ({ page }) => {
  await logIn(page);
  await page.goto("/people");
  await page.getByRole("button", { name: "Edit Ida Vik" }).click();
  await page.getByLabel("Role").selectOption("viewer");
  await page.getByRole("button", { name: "Save" }).click();

  await expect(page.getByRole("alert")).toContainText("you would lock yourself out");
});

test("a policy is written as a sentence whose meaning is shown first, and deleted", async ({ page }) => {
  await logIn(page);
  await page.goto("/policies");
  await expect(page.getByRole("list", { name: "Policies" })).toContainText("Kari Moe may write /3303/*");
  await expect(page.getByRole("list", { name: "Roles" })).toContainText("Viewers may read everywhere");

  await page.getByRole("button", { name: "New policy" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Who", { exact: true }).selectOption("everybody:");
  await dialog.getByLabel("May or may not").selectOption("deny");
  await dialog.getByLabel("execute").check();
  await dialog.getByLabel("On paths").fill("/3/*");
  await expect(dialog.getByRole("status")).toContainText("Everybody may not execute /3/* everywhere");
  await expect(dialog.getByRole("status")).toContainText("2 people lose");
  await dialog.getByRole("button", { name: "Save" }).click();

  const written = page.getByRole("listitem").filter({ hasText: "Everybody may not execute /3/*" });
  await expect(written).toBeVisible();
  await written.getByRole("button", { name: /^Delete/ }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await expect(written).toHaveCount(0);
});

test("a policy may be about another server of devices, by the number that they know it by", async ({ page }) => {
  await logIn(page);
  await page.goto("/policies");
  await page.getByRole("button", { name: "New policy" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("administer").check();
  await dialog.getByLabel("Who", { exact: true }).selectOption("server:");
  await dialog.getByLabel("Short id of the server").fill("102");
  await expect(dialog.getByLabel("administer")).toHaveCount(0);
  await dialog.getByLabel("read", { exact: true }).check();
  await expect(dialog.getByRole("status")).toContainText("Server 102 may read everywhere");
  await expect(dialog.getByRole("status")).toContainText("when they listen");
  await dialog.getByRole("button", { name: "Save" }).click();

  const written = page.getByRole("listitem").filter({ hasText: "Server 102 may read everywhere" });
  await written.getByRole("button", { name: /^Edit/ }).click();
  await expect(dialog.getByLabel("Short id of the server")).toHaveValue("102");
});

test("why somebody may not is an address that anybody can open", async ({ page }) => {
  await logIn(page);
  await page.goto("/policies/why?subject=usr-KAR00002&operation=execute&path=/3/0/5");
  await expect(page.getByRole("status").filter({ hasText: "No:" })).toContainText("no policy allows it");
  await page.getByLabel("Where").selectOption({ index: 1 });
  await expect(page.getByRole("status").filter({ hasText: "No:" })).toContainText("Technicians may not execute /3/0/5");

  await page.getByLabel("What", { exact: true }).selectOption("read");
  await page.getByLabel("Path, if it is about one").fill("");
  await page.getByLabel("Path, if it is about one").press("Enter");
  await page.getByLabel("Who", { exact: true }).selectOption("");
  await expect(page.getByRole("status").filter({ hasText: "Yes:" })).toBeVisible();
});

test("what another server of a device may is asked like what a person may", async ({ page }) => {
  await logIn(page);
  await page.goto("/policies/why");
  await page.getByLabel("Who", { exact: true }).selectOption("all other servers");
  await expect(page.getByText("is decided for each object instance of a device: say one.")).toBeVisible();
  await page.getByLabel("Object instance").fill("/3/0");
  await page.getByLabel("Object instance").press("Enter");
  await expect(page.getByRole("status").filter({ hasText: "No:" })).toContainText("no policy allows it");
});

test("a viewer is told what is for administrators, and why they may not", async ({ page }) => {
  await logIn(page, VISITOR);
  await page.goto("/policies");
  await expect(page.getByText("People and policies are for administrators.")).toBeVisible();
  await page.getByRole("link", { name: "Why may X" }).first().click();
  await page.getByLabel("What", { exact: true }).selectOption("execute");
  await expect(page.getByRole("status").filter({ hasText: "No:" })).toContainText("no policy allows it");
});
